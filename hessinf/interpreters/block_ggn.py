"""The Gauss-Newton matrix with the entries between blocks left out, and its inverse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from hessinf.interpreters.chosen_blocks import ChosenBlocks
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter

if TYPE_CHECKING:
    import torch


@InfluenceInterpreter.register("block-ggn")
class BlockGaussNewton(ChosenBlocks):
    """Influence with the exact Gauss-Newton matrix of each block of parameters.

    Registered as an `InfluenceInterpreter` with name "block-ggn".

    Approximates the generalised Gauss-Newton matrix by its diagonal blocks, one layer a block by
    default: what K-FAC and EK-FAC approximate further. The best block-diagonal method away from a
    minimum, where the blocks fit, and the yardstick for the Kronecker-factored ones.

    Parameters
    ----------
    damping
        λ, or {"relative": share} of the mean eigenvalue of each block.
    inversion
        How each damped block is inverted: "exact", "pseudo" or "eigen", with options.
    curvature_dtype
        The precision of the derivatives: "float64", or "model" for that of the model. Sums, factors
        and solutions are always float64.

    Cost
    ----
    With P_b parameters in block b, and R columns in the square root of an example's output Hessian
    (C − 1 for a softmax over C classes, times the positions that have a target). Time: one pass
    over the N training examples, with R backward passes to the outputs of layers; N·ΣP_b² for the
    entries of layers that an example uses once (a quarter of it, by symmetry), up to N·R·ΣP_b²
    where it uses them at more than √R positions; and ΣP_b³/3 for the inverses (about 9·P_b³ for
    "pseudo" and "eigen"). Memory: ΣP_b² + max P_b² numbers of 8 bytes (3·max P_b² for "pseudo" and
    "eigen"), ΣP_b² once fitted. Each block of queries: Q·ΣP_b² and N·P·Q. Another damping: one more
    inverse of each block, nothing for "pseudo" and "eigen". The refined loss change keeps a second
    inverse, ΣP_b² numbers more.

    References
    ----------
    Schraudolph, Fast Curvature Matrix-Vector Products for Second-Order Gradient Descent, 2002.
    Botev, Ritter & Barber, Practical Gauss-Newton Optimisation for Deep Learning, ICML 2017.
    """

    operator: ClassVar[Literal["hessian", "ggn"]] = "ggn"

    def fit(self) -> None:
        """Form all blocks in one pass over the data, and factorise them."""
        self.require_memory()
        self.invert(self.curvature_blocks())

    def curvature_blocks(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Form all blocks in one pass over the data; see the base class."""
        return self.gauss_newton_blocks("Gauss-Newton blocks")
