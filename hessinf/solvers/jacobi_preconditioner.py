"""Preconditioning with the diagonal of the curvature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from hessinf.curvature.errors import CurvatureError
from hessinf.registry import AtLeast
from hessinf.runtime import randomness
from hessinf.runtime.lazy_import import lazy_import
from hessinf.solvers.preconditioner import Preconditioner, State
from hessinf.solvers.trace import random_signs

if TYPE_CHECKING:
    import torch

    from hessinf.curvature import fisher_columns, fisher_diagonal
    from hessinf.gradients.curvature_products import CurvatureProducts
    from hessinf.solvers.product import Product
else:
    torch = lazy_import("torch")
    fisher_columns = lazy_import("hessinf.curvature.fisher_columns")
    fisher_diagonal = lazy_import("hessinf.curvature.fisher_diagonal")

LEAST_SHARE = 1e-2
"""Estimated entries below this share of the mean are raised to it: they are mostly noise."""

SIGNS_AT_ONCE = 16
"""How many random vectors are multiplied together."""


@Preconditioner.register("jacobi")
class JacobiPreconditioner(Preconditioner):
    """The inverse diagonal: steps of a length of its own for every parameter.

    Registered as a `Preconditioner` with name "jacobi".

    The diagonal is that of the Gauss-Newton matrix, which is never negative: exact where outputs
    are few, from labels sampled from the model where they are many. For a loss function that is no
    registered objective it is estimated from products with random signs (Bekas, Kokiopoulou & Saad
    2007), and entries that are negative or next to nothing are raised to a hundredth of the mean.

    Parameters
    ----------
    samples
        Labels sampled for each example, where outputs are many; or random vectors, for a loss
        function.
    """

    def __init__(self, samples: Annotated[int, AtLeast(1)] = 32) -> None:
        if samples < 1:
            raise ValueError(f"samples must be at least 1, found {samples}")
        self.samples = samples

    def learn(
        self, products: CurvatureProducts, seed: int, memory_limit: float | None = None
    ) -> State:
        """Compute or estimate the diagonal."""
        data: Any = products.data
        try:
            kind = fisher_columns.choose_fisher("auto", products.objective, products.model, data)
        except CurvatureError:  # the objective gives losses only
            diagonal = self._estimate(products, seed)  # [P]
        else:
            diagonal, _ = fisher_diagonal.fit_diagonal(
                products.model,
                products.objective,
                data,
                fisher=kind,
                samples=self.samples,
                seed=randomness.derive_seed(seed, "jacobi"),
            )
        return {"diagonal": diagonal, "weight_decay": products.weight_decay}

    def _estimate(self, products: CurvatureProducts, seed: int) -> torch.Tensor:
        """Average ``z · Cz`` over random signs z, without weight decay: ``[P]``."""
        model = products.model
        generator = randomness.generator(seed, "jacobi")
        total = torch.zeros(products.size, dtype=torch.float64, device=model.device)  # [P]
        done = 0
        while done < self.samples:
            count = min(SIGNS_AT_ONCE, self.samples - done)
            signs = random_signs(count, products.size, generator, model.dtype, model.device)
            total += (signs * products.products(signs)).sum(dim=0)
            done += count
        diagonal = total / self.samples - products.weight_decay  # [P]
        mean = float(diagonal.mean())
        return diagonal.clamp(min=LEAST_SHARE * mean if mean > 0 else 0.0)

    def inverse(self, state: State, damping: float) -> Product:
        """Divide by the damped diagonal."""
        damped = state["diagonal"] + (state["weight_decay"] + damping)  # [P]
        largest = float(damped.max())
        least = torch.finfo(damped.dtype).eps * largest if largest > 0 else 1.0
        scales = 1 / damped.clamp(min=least)  # [P]
        return lambda vectors: vectors * scales.to(vectors.dtype)
