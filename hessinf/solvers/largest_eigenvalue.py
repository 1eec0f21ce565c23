"""The largest eigenvalue of a symmetric operator, by power iteration."""

from __future__ import annotations

from collections.abc import Callable

import torch

Product = Callable[[torch.Tensor], torch.Tensor]
"""From row vectors ``[K, P]`` to their products with a symmetric matrix, ``[K, P]``."""


def largest_eigenvalue(
    product: Product,
    size: int,
    *,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
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
        Of the vectors.
    steps
        At most this many products.
    tolerance
        Stop when the estimate grows by less than this share in a step.

    Returns
    -------
    float
        The norm of the last product of a unit vector: a lower bound on the largest magnitude.
    """
    vector = torch.randn(1, size, generator=generator, dtype=torch.float64).to(device, dtype)
    vector /= vector.norm()  # [1, P]
    estimate = 0.0
    for _ in range(steps):
        vector = product(vector)  # [1, P]
        norm = float(vector.norm())
        if norm == 0.0 or norm != norm:
            return norm
        vector = vector / norm
        if norm <= estimate * (1 + tolerance):
            return max(norm, estimate)
        estimate = norm
    return estimate
