"""Preconditioning with a randomised low rank of the curvature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from hessinf.registry import AtLeast
from hessinf.runtime import progress, randomness
from hessinf.runtime.lazy_import import lazy_import
from hessinf.solvers.low_rank import LowRank
from hessinf.solvers.nystroem import nystroem
from hessinf.solvers.preconditioner import Preconditioner, State

if TYPE_CHECKING:
    import torch

    from hessinf import gradients
    from hessinf.gradients.curvature_products import CurvatureProducts
    from hessinf.solvers.product import Product
else:
    torch = lazy_import("torch")
    gradients = lazy_import("hessinf.gradients")


@Preconditioner.register("nystroem")
class NystroemPreconditioner(Preconditioner):
    """A randomised low rank of the Gauss-Newton matrix: takes the large eigenvalues away.

    Registered as a `Preconditioner` with name "nystroem".

    The source is Frangella, Tropp & Udell, Randomized Nyström Preconditioning, SIAM J. Matrix Anal.
    Appl. 2023. It costs rank products with the curvature, once, and keeps rank × P numbers. The
    Gauss-Newton matrix stands for the Hessian too, since a preconditioner has to be positive.

    Parameters
    ----------
    rank
        How many eigenvalues; at most P.
    """

    def __init__(self, rank: Annotated[int, AtLeast(1)] = 50) -> None:
        if rank < 1:
            raise ValueError(f"rank must be at least 1, found {rank}")
        self.rank = rank

    def learn(
        self, products: CurvatureProducts, seed: int, memory_limit: float | None = None
    ) -> State:
        """Multiply the Gauss-Newton matrix with random vectors."""
        operator = gradients.GaussNewtonProducts(
            products.model,
            products.objective,
            products.data,
            0.0,
            products.vectors_at_once,
            products.planned_batch_size,
        )
        rank = min(self.rank, products.size)
        with progress.bar(stage="Nyström preconditioner", total=rank, unit="products") as shown:
            found = nystroem(
                operator.products,
                products.size,
                rank=rank,
                oversampling=0,
                vectors_at_once=operator.at_once(rank),
                generator=randomness.generator(seed, "nystroem-preconditioner"),
                dtype=products.model.dtype,
                device=products.model.device,
                on_step=shown.update,
            )
        return {
            "eigenvalues": found.eigenvalues,
            "eigenvectors": found.eigenvectors,
            "weight_decay": products.weight_decay,
        }

    def inverse(self, state: State, damping: float) -> Product:
        """Divide by damped eigenvalues, relative to the smallest of them."""
        found = LowRank(state["eigenvalues"], state["eigenvectors"])
        damped = found.eigenvalues + (state["weight_decay"] + damping)  # [R]
        largest = float(damped.max())
        damped = damped.clamp(min=torch.finfo(damped.dtype).eps * largest if largest > 0 else 1.0)
        scales = damped.min() / damped - 1  # [R]

        def inverse(vectors: torch.Tensor) -> torch.Tensor:
            wide = vectors.to(found.eigenvectors.dtype)  # [K, P]
            scaled = found.project(wide) * scales.to(wide.dtype)  # [K, R]
            mended: torch.Tensor = vectors + (scaled @ found.eigenvectors).to(vectors.dtype)
            return mended

        return inverse
