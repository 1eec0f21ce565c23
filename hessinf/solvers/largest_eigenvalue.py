"""The largest eigenvalue of a symmetric operator, by Lanczos iteration.

Lanczos finds in a few products an eigenvalue that stands out, where power iteration, which starts
with hardly any share of its eigenvector when there are many parameters, seems to stand still.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.solvers.product import Product
else:
    torch = lazy_import("torch")


def largest_eigenvalue(
    product: Product,
    size: int,
    *,
    generator: torch.Generator,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
    steps: int = 30,
    tolerance: float = 1e-2,
) -> float:
    """Estimate the eigenvalue of largest magnitude, from below.

    Parameters
    ----------
    product
        Multiplies row vectors with the matrix.
    size
        The number of rows of the matrix.
    generator
        Draws the start, on the CPU.
    dtype, device
        Of the vectors; float64 when left out.
    steps
        At most this many products; as many vectors are kept.
    tolerance
        Stop when the residual says that an eigenvalue is this close, as a share of the estimate.

    Returns
    -------
    float
        The largest magnitude of a Ritz value: a lower bound on the largest magnitude of an
        eigenvalue, up to rounding. NaN or infinity where a product is not finite.
    """
    dtype = dtype or torch.float64
    vector = torch.randn(1, size, generator=generator, dtype=torch.float64).to(device, dtype)
    basis = vector / vector.norm()  # [1, P], orthonormal rows
    diagonal: list[float] = []
    beside: list[float] = []
    estimate = 0.0
    for _ in range(min(steps, size)):
        image = product(basis[-1:])  # [1, P]
        diagonal.append(float((image * basis[-1:]).sum()))
        if not math.isfinite(diagonal[-1]):
            return abs(diagonal[-1])
        for _ in range(2):  # once leaves rounding errors that grow
            image = image - (image @ basis.T) @ basis
        rest = float(image.norm())
        estimate, share = _largest_ritz_value(diagonal, beside)
        scale = max(map(abs, [*diagonal, *beside]))
        if rest * share <= tolerance * estimate or rest <= torch.finfo(dtype).eps * scale:
            return estimate
        beside.append(rest)
        basis = torch.cat([basis, image / rest])  # [k + 1, P]
    return estimate


def _largest_ritz_value(diagonal: list[float], beside: list[float]) -> tuple[float, float]:
    """Return the largest magnitude, and the last entry of its vector, of a tridiagonal matrix."""
    matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))  # [k, k]
    if beside:
        below = torch.tensor(beside, dtype=torch.float64)  # [k - 1]
        matrix += torch.diag(below, 1) + torch.diag(below, -1)
    values, vectors = torch.linalg.eigh(matrix)  # [k], [k, k]
    place = int(values.abs().argmax())
    return float(values[place].abs()), float(vectors[-1, place].abs())
