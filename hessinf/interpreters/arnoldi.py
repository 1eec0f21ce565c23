"""Influence within the largest eigenvalues of the curvature (Schioppa et al. 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from hessinf.interpreters.choices import require_choice
from hessinf.interpreters.influence_interpreter import InfluenceInterpreter
from hessinf.interpreters.low_rank_interpreter import LowRankInterpreter, require_memory
from hessinf.registry import AtLeast
from hessinf.runtime import progress, randomness
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf import solvers
    from hessinf.gradients.curvature_products import CurvatureProducts
else:
    torch = lazy_import("torch")
    solvers = lazy_import("hessinf.solvers")

ROUNDING = 100
"""Eigenvalues within this many units of rounding of the largest are zero."""


@InfluenceInterpreter.register("arnoldi")
class Arnoldi(LowRankInterpreter):
    """Influence within the top eigenpairs of the curvature, found by Lanczos iteration.

    Registered as an `InfluenceInterpreter` with name "arnoldi".

    The curvature is that of its eigenvalues of largest magnitude, and beside them one number, or λ
    alone, or nothing, as in the paper. With an MLP of 2,778 parameters on 400 digits, damping of a
    tenth of the mean eigenvalue and rank 100, the Spearman correlation with exact scores was 0.93,
    0.81 and 0.59, the relative error 0.16, 0.52 and 0.46. Where it is dropped, training gradients
    are only kept as their coordinates, and computed once for all queries.

    Lanczos runs on the device, with full reorthogonalisation, and goes on where an invariant
    subspace ends, so that at full rank scores are those of "exact" and "ggn". Diagnostics say how
    good the pairs are: the largest residual ``‖Cv − θv‖`` of one that is kept, the largest
    eigenvalue left out, the share of the trace that is kept.

    Parameters
    ----------
    rank
        How many eigenpairs are kept; at most P, with which the method is exact.
    krylov_dimension
        How many products are made to find them; null for twice the rank.
    negative
        Negative eigenvalues of the Hessian: "keep" them, which is what the inverse does, and is
        warned of where damping does not make them positive, "drop" the pair, or "flip" the sign.
    block_size
        How many vectors go through the model together; more are faster on a GPU, and need a larger
        krylov_dimension for the same precision.

    Cost
    ----
    Time: krylov_dimension + 16 products with the curvature of N examples, each about 4 gradients an
    example, and 4·krylov_dimension²·P to reorthogonalise. Memory: (krylov_dimension + 2·rank)·P
    numbers. Each block of queries: 2·Q·rank·P, and N·P·Q.

    References
    ----------
    Schioppa, Zablotskaia, Vilar & Sokolov, Scaling Up Influence Functions, AAAI 2022. Lanczos 1950.
    """

    def __init__(
        self,
        *args: Any,
        rank: Annotated[int, AtLeast(1)] = 100,
        krylov_dimension: Annotated[int, AtLeast(1)] | None = None,
        negative: Literal["keep", "drop", "flip"] = "keep",
        block_size: Annotated[int, AtLeast(1)] = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        require_choice("negative", negative, ("keep", "drop", "flip"))
        if rank < 1 or block_size < 1:
            raise ValueError(
                f"rank and block_size must be at least 1, found {rank} and {block_size}"
            )
        if krylov_dimension is not None and krylov_dimension < rank:
            raise ValueError(
                f"krylov_dimension must be at least rank, found {krylov_dimension} for a rank of "
                f"{rank}"
            )
        self.rank = rank
        self.krylov_dimension = krylov_dimension
        self.negative = negative
        self.block_size = block_size

    def approximate(
        self, products: CurvatureProducts
    ) -> tuple[solvers.LowRank, float | None, dict[str, Any]]:
        """Run Lanczos and keep the largest pairs."""
        size, dtype = products.size, products.model.dtype
        rank = min(self.rank, size)
        dimension = min(self.krylov_dimension or 2 * self.rank, size)
        require_memory(dimension + 2 * rank, rank, size, dtype.itemsize, self.memory_limit)
        with progress.bar(stage="Lanczos", total=dimension, unit="products") as shown:
            pairs = solvers.lanczos(
                products.products,
                size,
                rank=rank,
                dimension=dimension,
                block_size=self.block_size,
                generator=randomness.generator(self.seed, "arnoldi"),
                dtype=dtype,
                device=products.model.device,
                on_step=shown.update,
            )
        facts = {"largest_ritz_residual": float(pairs.residuals.max())}
        return self._mended(pairs.low_rank), pairs.left_out, facts

    def _mended(self, found: solvers.LowRank) -> solvers.LowRank:
        """Leave out pairs without curvature, which are anyhow chosen, and mend negative ones."""
        values, vectors = found.eigenvalues, found.eigenvectors
        rounding = ROUNDING * torch.finfo(vectors.dtype).eps * float(values.abs().max())
        kept = torch.ones_like(values, dtype=torch.bool)  # [R]
        if not found.complete:
            kept = values.abs() > rounding
        if self.negative == "flip":
            values = values.abs()
        elif self.negative == "drop":
            kept &= values >= -rounding
        return solvers.LowRank(values[kept], vectors[kept])
