"""Dense curvature: all P × P entries, row by row from products with unit vectors."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from hessinf.curvature.errors import CurvatureError
from hessinf.gradients import CurvatureProducts
from hessinf.runtime.progress import bar

MATRICES_HELD = 4
"""The matrix, its symmetric part, its factorisation and room to work: in units of P² numbers."""

ASYMMETRY_ALLOWED = 1e-3
"""Rows and columns come from the same derivatives; more difference than this is a defect."""


def require_memory(sizes: Mapping[str, int], memory_limit: float) -> None:
    """Refuse dense matrices that do not fit.

    Parameters
    ----------
    sizes
        The number of parameters of each block, by its name.
    memory_limit
        In GiB.

    Raises
    ------
    CurvatureError
        Which says how much is needed, and what would fit.
    """
    largest = max(sizes, key=lambda name: sizes[name])
    needed = gibibytes(sizes.values())
    if needed <= memory_limit:
        return
    remedy = (
        'freeze some with params_to_freeze, raise memory_limit, or use "simple-influence", which '
        "forms no matrix"
    )
    if len(sizes) == 1:
        size = sizes[largest]
        raise CurvatureError(
            f"a dense matrix of {size:,} × {size:,} parameters needs {needed:,.1f} GiB to form and "
            f"factorise, memory_limit is {memory_limit:g} GiB, which is enough for "
            f"{fitting(memory_limit):,} parameters; {remedy}"
        )
    raise CurvatureError(
        f"the dense matrices of {len(sizes)} blocks need {needed:,.1f} GiB to form and factorise, "
        f'memory_limit is {memory_limit:g} GiB; the largest, "{largest}", has {sizes[largest]:,} '
        f"parameters; make blocks smaller, {remedy}"
    )


def gibibytes(sizes: Collection[int]) -> float:
    """Say what it takes to form and factorise dense float64 matrices one after another.

    Each is kept; one at a time is worked on.
    """
    kept = sum(size * size for size in sizes)
    at_work = (MATRICES_HELD - 1) * max(sizes) ** 2
    return (kept + at_work) * 8 / 2**30


def fitting(memory_limit: float) -> int:
    """Say how many rows a dense matrix may have, given a memory limit in GiB."""
    return int((memory_limit * 2**30 / MATRICES_HELD / 8) ** 0.5)


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
