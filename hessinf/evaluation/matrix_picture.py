"""A matrix as a picture: the root mean square of its entries in each of a few hundred cells."""

from __future__ import annotations

import torch

CELLS = 480
"""Cells on each side, at most."""

PANEL = 1024
"""Rows that are worked on together."""


def picture(matrix: torch.Tensor, other: torch.Tensor | None = None) -> torch.Tensor:
    """Pool a matrix, or the difference of two.

    Parameters
    ----------
    matrix, other
        ``[P, P]``.

    Returns
    -------
    torch.Tensor
        ``[C, C]``, float32, C = min(P, 480): root mean squares, not negative.
    """
    size = len(matrix)
    cells = min(size, CELLS)
    cell_of = torch.arange(size, device=matrix.device) * cells // size  # [P]
    sums = matrix.new_zeros(cells, cells)  # [C, C]
    for start in range(0, size, PANEL):
        some = slice(start, start + PANEL)
        rows = matrix[some] if other is None else matrix[some] - other[some]  # [p, P]
        across = rows.new_zeros(cells, len(rows))  # [C, p]
        across.index_add_(0, cell_of, rows.square().T)
        sums.index_add_(0, cell_of[some], across.T.contiguous())
    counts = torch.bincount(cell_of, minlength=cells).double()  # [C]
    return (sums / torch.outer(counts, counts)).sqrt_().float()
