"""The Hessian with the entries between blocks of parameters left out, and its inverse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from hessinf.interpreters.chosen_blocks import ChosenBlocks
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter

if TYPE_CHECKING:
    import torch


@InfluenceInterpreter.register("block-hessian")
class BlockHessian(ChosenBlocks):
    """Influence with the exact Hessian of each block of parameters, one layer a block by default.

    Registered as an `InfluenceInterpreter` with name "block-hessian".

    Approximates the Hessian by its diagonal blocks: as if layers were trained one at a time. For
    models whose whole Hessian is too large, while that of each layer fits, and to see what leaving
    interactions between layers out does. Like the whole Hessian, blocks may have negative
    eigenvalues away from a minimum; their number is reported.

    Parameters
    ----------
    damping
        λ, or {"relative": share} of the mean eigenvalue of each block.
    inversion
        How each damped block is inverted: "exact", "pseudo" or "eigen", with options.
    curvature_dtype
        The precision of the blocks' entries, factors and solutions are always float64: "float64",
        or "model" for that of the model, which takes half the time.

    Cost
    ----
    With P_b parameters in block b. Time: for linear layers that are used at one position of each
    example, a quarter of N·P_b² where one layer makes up the block, up to N·P_b² where several do,
    and as many passes as these layers have outputs. For each other parameter a product with the
    Hessian of its block, about 4 gradients of the N training examples as far as the block's
    parameters need them. ΣP_b³/3 for the inverses (about 9·P_b³ for "pseudo" and "eigen"). Memory:
    ΣP_b² + max P_b² numbers of 8 bytes (3·max P_b² for "pseudo" and "eigen"), ΣP_b² once fitted.
    Each block of queries: Q·ΣP_b² and N·P·Q. Another damping: one more inverse of each block,
    nothing for "pseudo" and "eigen".

    References
    ----------
    Grosse et al., Studying Large Language Model Generalization with Influence Functions, 2023,
    section 2.2 (what leaving out the entries between layers means).
    """

    version: ClassVar[int] = 2

    operator: ClassVar[Literal["hessian", "ggn"]] = "hessian"

    def fit(self) -> None:
        """Form all blocks, and factorise them."""
        self.require_memory()
        self.invert(self.curvature_blocks())

    def curvature_blocks(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Form all blocks; see the base class."""
        return self.hessian_blocks("Hessian")
