"""The diagonal of a matrix that is only known by its products (Hutchinson 1990; Bekas et al. 2007).

``diag(A) = E[v ∘ A v]`` for random signs v: without bias, and with a variance, for each entry, of
the sum of squares of the rest of its row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.progress import bar
from hessinf.solvers.errors import SolverError
from hessinf.solvers.trace import random_signs

if TYPE_CHECKING:
    import torch

    from hessinf.solvers.product import Product
else:
    torch = lazy_import("torch")


@dataclass(frozen=True, eq=False)
class DiagonalEstimate:
    """An estimated diagonal.

    Parameters
    ----------
    diagonal
        The mean over the random vectors, ``[P]``, float64.
    standard_errors
        Of each entry, ``[P]``.
    """

    diagonal: torch.Tensor
    standard_errors: torch.Tensor


def estimate_diagonal(
    product: Product,
    size: int,
    *,
    samples: int,
    generator: torch.Generator,
    at_once: int = 32,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
    stage: str = "diagonal",
) -> DiagonalEstimate:
    """Estimate a diagonal from products with random signs.

    Parameters
    ----------
    product
        Multiplies row vectors with A.
    size
        P.
    samples
        How many random vectors, at least 2.
    generator
        Draws them, on the CPU.
    at_once
        How many are multiplied together.
    dtype, device
        Of the vectors; float64 when left out.
    stage
        What the progress bar is called.

    Raises
    ------
    SolverError
        When there are fewer than 2 samples, or a product is not finite.
    """
    if samples < 2:
        raise SolverError(f"a standard error needs at least 2 samples, found {samples}")
    total = torch.zeros(size, dtype=torch.float64, device=device)  # [P]
    squares = torch.zeros_like(total)
    with bar(stage=stage, total=samples, unit="products") as shown:
        for start in range(0, samples, at_once):
            count = min(at_once, samples - start)
            signs = random_signs(count, size, generator, dtype or torch.float64, device)
            values = (signs * product(signs)).double()  # [K, P]
            if not bool(values.isfinite().all()):
                raise SolverError(
                    "a product of the diagonal's estimate is not finite; likely causes: NaN or "
                    "huge values in the training data, or a model whose training diverged"
                )
            total += values.sum(dim=0)
            squares += values.square().sum(dim=0)
            shown.update(count)
    mean = total / samples
    variance = (squares / samples - mean.square()).clamp(min=0) * samples / (samples - 1)
    return DiagonalEstimate(mean, (variance / samples).sqrt())
