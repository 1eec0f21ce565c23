"""The trace of a matrix that is only known by its products, by random signs (Hutchinson 1990)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.solvers.product import Product
else:
    torch = lazy_import("torch")


@dataclass(frozen=True)
class Trace:
    """An estimate of a trace.

    Parameters
    ----------
    value
        The mean over the random vectors.
    standard_error
        Of that mean.
    of_square
        An estimate of the trace of A².
    """

    value: float
    standard_error: float
    of_square: float


def random_signs(
    count: int,
    size: int,
    generator: torch.Generator,
    dtype: torch.dtype,
    device: str | torch.device,
) -> torch.Tensor:
    """Draw ``[count, size]`` entries of +1 and -1, on the CPU."""
    signs = torch.randint(0, 2, (count, size), generator=generator) * 2 - 1  # [count, size]
    return signs.to(device, dtype)


def estimate_trace(
    product: Product,
    size: int,
    *,
    samples: int,
    generator: torch.Generator,
    dtype: torch.dtype,
    device: str | torch.device = "cpu",
) -> Trace:
    """Estimate a trace without bias; the fewer entries beside the diagonal, the less its variance.

    Parameters
    ----------
    product
        Multiplies row vectors with the matrix A.
    size
        The number of its rows.
    samples
        How many random vectors, at least 2.
    generator
        Draws them.
    dtype, device
        Of the vectors.
    """
    signs = random_signs(samples, size, generator, dtype, device)  # [S, P]
    images = product(signs)  # [S, P]
    forms = (signs * images).sum(dim=1, dtype=torch.float64)  # [S]
    return Trace(
        value=float(forms.mean()),
        standard_error=float(forms.std() / samples**0.5),
        of_square=float(images.double().square().sum(dim=1).mean()),
    )
