"""Dense curvature: all P × P entries, row by row from products with unit vectors."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from hessinf.curvature.errors import CurvatureError
from hessinf.gradients import CurvatureProducts
from hessinf.runtime.progress import bar

PANEL = 512
"""Rows that are made symmetric together."""

ASYMMETRY_ALLOWED = 1e-3
"""Rows and columns come from the same derivatives; more difference than this is a defect."""


def require_memory(sizes: Mapping[str, int], memory_limit: float, held: float) -> None:
    """Refuse dense matrices that do not fit.

    Parameters
    ----------
    sizes
        The number of parameters of each block, by its name.
    memory_limit
        In GiB.
    held
        What inverting takes, in units of the matrix: ``Inversion.matrices_held``.

    Raises
    ------
    CurvatureError
        Which says how much is needed, and what would fit.
    """
    largest = max(sizes, key=lambda name: sizes[name])
    needed = gibibytes(sizes.values(), held)
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
            f"{fitting(memory_limit, held):,} parameters; {remedy}"
        )
    raise CurvatureError(
        f"the dense matrices of {len(sizes)} blocks need {needed:,.1f} GiB to form and factorise, "
        f'memory_limit is {memory_limit:g} GiB; the largest, "{largest}", has {sizes[largest]:,} '
        f"parameters; make blocks smaller, {remedy}"
    )


def gibibytes(sizes: Collection[int], held: float) -> float:
    """Say what it takes to form and factorise dense float64 matrices one after another.

    Each is kept; one at a time is worked on, which takes ``held`` times as much.
    """
    kept = sum(size * size for size in sizes)
    at_work = (held - 1) * max(sizes) ** 2
    return (kept + at_work) * 8 / 2**30


def fitting(memory_limit: float, held: float) -> int:
    """Say how many rows a dense matrix may have, given a memory limit in GiB."""
    return int((memory_limit * 2**30 / held / 8) ** 0.5)


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
    dtype, device = products.model.dtype, products.model.device
    every = torch.arange(products.size, device=device)  # [P]
    matrix = product_rows(products, every, rows_at_once, stage)  # [P, P]
    if not bool(matrix.isfinite().all()):
        row = int((~matrix.isfinite().all(dim=1)).nonzero()[0])
        raise CurvatureError(
            f"{stage}: row {row} of the curvature is not finite; likely causes: NaN or huge values "
            "in the training data, a model whose training diverged, or an activation without a "
            "finite second derivative"
        )
    difference, largest = _symmetrize(matrix)
    if difference > ASYMMETRY_ALLOWED * max(largest, torch.finfo(dtype).tiny):
        raise CurvatureError(
            f"{stage}: the matrix is not symmetric (entries differ by {difference:.3g}, the "
            f"largest is {largest:.3g}); does the model give other outputs from pass to pass?"
        )
    return matrix


def product_rows(
    products: CurvatureProducts, places: torch.Tensor, rows_at_once: int, stage: str
) -> torch.Tensor:
    """Form some rows of the curvature matrix, weight decay included.

    Parameters
    ----------
    products
        The curvature as an operator.
    places
        Which rows, ``[W]``.
    rows_at_once
        How many unit vectors go through the model together.
    stage
        What the progress bar is called.

    Returns
    -------
    torch.Tensor
        ``[W, P]``, float64.
    """
    size = products.size
    dtype, device = products.model.dtype, products.model.device
    rows = torch.empty(len(places), size, dtype=torch.float64, device=device)  # [W, P]
    with bar(stage=stage, total=len(places), unit="rows") as shown:
        for start in range(0, len(places), rows_at_once):
            some = places[start : start + rows_at_once]  # [K]
            unit_vectors = torch.zeros(len(some), size, dtype=dtype, device=device)  # [K, P]
            unit_vectors[torch.arange(len(some), device=device), some] = 1.0
            rows[start : start + len(some)] = products.products(unit_vectors)
            shown.update(len(some))
    return rows


def _symmetrize(matrix: torch.Tensor) -> tuple[float, float]:
    """Make a matrix symmetric, in place; say by how much it was not, and its largest entry."""
    difference = largest = 0.0
    for start in range(0, len(matrix), PANEL):
        rows = matrix[start : start + PANEL, start:]  # [p, P - start]
        columns = matrix[start:, start : start + PANEL].T
        largest = max(largest, float(rows.abs().max()), float(columns.abs().max()))
        difference = max(difference, float((rows - columns).abs().max()))
        middle = (rows + columns).mul_(0.5)
        rows.copy_(middle)
        columns.copy_(middle)
    return difference, largest
