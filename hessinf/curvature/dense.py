"""Dense curvature: all P × P entries, row by row from products with unit vectors."""

from __future__ import annotations

import torch

from hessinf.curvature.errors import CurvatureError
from hessinf.gradients import CurvatureProducts
from hessinf.runtime.progress import bar

MATRICES_HELD = 4
"""The matrix, its symmetric part, its factorisation and room to work: in units of P² numbers."""

ASYMMETRY_ALLOWED = 1e-3
"""Rows and columns come from the same derivatives; more difference than this is a defect."""


def require_memory(size: int, bytes_per_number: int, memory_limit: float) -> None:
    """Refuse a dense matrix that does not fit.

    Parameters
    ----------
    size
        P, the number of parameters.
    bytes_per_number
        8 for float64.
    memory_limit
        In GiB.

    Raises
    ------
    CurvatureError
        Which says how much is needed, and what would fit.
    """
    needed = MATRICES_HELD * size * size * bytes_per_number / 2**30
    if needed > memory_limit:
        fitting = int((memory_limit * 2**30 / MATRICES_HELD / bytes_per_number) ** 0.5)
        raise CurvatureError(
            f"a dense matrix of {size:,} × {size:,} parameters needs {needed:,.1f} GiB to form and "
            f"factorise, memory_limit is {memory_limit:g} GiB, which is enough for {fitting:,} "
            "parameters; freeze some with params_to_freeze, raise memory_limit, or use "
            '"simple-influence", which forms no matrix'
        )


def dense_curvature(products: CurvatureProducts, rows_at_once: int, stage: str) -> torch.Tensor:
    """Form the whole curvature matrix, weight decay included.

    Parameters
    ----------
    products
        The curvature as an operator.
    rows_at_once
        How many unit vectors go through the model together.
    stage
        What the progress bar is called.

    Returns
    -------
    torch.Tensor
        ``[P, P]``, float64, symmetric.

    Raises
    ------
    CurvatureError
        When an entry is not finite, or the products are not symmetric.
    """
    size = products.size
    dtype, device = products.model.dtype, products.model.device
    matrix = torch.empty(size, size, dtype=torch.float64, device=device)  # [P, P]
    with bar(stage=stage, total=size, unit="rows") as shown:
        for start in range(0, size, rows_at_once):
            stop = min(start + rows_at_once, size)
            unit_vectors = torch.zeros(stop - start, size, dtype=dtype, device=device)  # [K, P]
            unit_vectors[torch.arange(stop - start), torch.arange(start, stop)] = 1.0
            matrix[start:stop] = products.products(unit_vectors)
            shown.update(stop - start)
    if not bool(matrix.isfinite().all()):
        row = int((~matrix.isfinite().all(dim=1)).nonzero()[0])
        raise CurvatureError(
            f"{stage}: row {row} of the curvature is not finite; likely causes: NaN or huge values "
            "in the training data, a model whose training diverged, or an activation without a "
            "finite second derivative"
        )
    difference = float((matrix - matrix.T).abs().max())
    largest = float(matrix.abs().max())
    if difference > ASYMMETRY_ALLOWED * max(largest, torch.finfo(dtype).tiny):
        raise CurvatureError(
            f"{stage}: the matrix is not symmetric (entries differ by {difference:.3g}, the "
            f"largest is {largest:.3g}); does the model give other outputs from pass to pass?"
        )
    return matrix.add_(matrix.T.clone()).mul_(0.5)
