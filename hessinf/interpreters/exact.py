"""``(H + λI)⁻¹`` with the dense Hessian H of the mean training loss (Koh & Liang 2017, eq. 2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from hessinf.interpreters.dense_blocks import DenseBlocks
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter

if TYPE_CHECKING:
    import torch


@InfluenceInterpreter.register("exact")
class Exact(DenseBlocks):
    """Influence with the exact Hessian, formed and inverted as a dense matrix.

    Registered as an `InfluenceInterpreter` with name "exact".

    The reference for every other method, where it fits. At parameters that are no minimum the
    Hessian has negative eigenvalues; their number is reported, and scores then mean little: use
    "ggn" there.

    Parameters
    ----------
    damping
        λ, or {"relative": share} of the mean eigenvalue.
    inversion
        How the damped Hessian is inverted: "exact", "pseudo" or "eigen", with options.
    curvature_dtype
        The precision of the Hessian's entries, factors and solutions are always float64: "float64",
        or "model" for that of the model, which takes half the time.

    Cost
    ----
    Time: for linear layers that are used at one position of each example, about N·P² for the
    entries between two of them and a quarter of it for those within one, and as many passes as
    these layers have inputs and outputs, instead of parameters. For each other parameter (of
    convolutions, embeddings, normalizations, layers used at several positions) a product with the
    Hessian, about 4 gradients of the N training examples. P³/3 for the inverse (about 9·P³ for
    "pseudo" and "eigen"). Memory: about 2·P² numbers of 8 bytes (4·P² for "pseudo" and "eigen"), P²
    once fitted. Each block of queries: Q·P² and N·P·Q. Another damping: one more inverse, nothing
    for "pseudo" and "eigen". The refined loss change keeps a second inverse, P² numbers more.

    References
    ----------
    Koh & Liang, Understanding Black-box Predictions via Influence Functions, ICML 2017.
    """

    version: ClassVar[int] = 3

    operator: ClassVar[Literal["hessian", "ggn"]] = "hessian"

    def fit(self) -> None:
        """Form the Hessian and factorise it."""
        self.require_memory()
        self.invert(self.curvature_blocks())

    def curvature_blocks(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Form the Hessian; see the base class."""
        return self.hessian_blocks("exact Hessian")
