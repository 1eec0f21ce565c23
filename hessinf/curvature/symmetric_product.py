"""``SymmetricSum``: sums of ``x xᵀ``, of which only the upper half is computed."""

from __future__ import annotations

import torch

from hessinf.runtime.float32_products import float32_products

BLOCKS = 8
"""Into how many block rows a product is cut: 36 of 64 blocks are computed."""

FEW_BLOCKS = 2
"""The same for the first product, 3 of 4: libraries prepare for each new shape they meet, which is
not made up for where there is only one."""

NARROWEST = 64
"""Products with narrower block rows are slower: measured with one thread of AVX-512."""

ADDED_IN_PRECISION = 16
"""How many products are added up in their own precision, before they go to float64."""


class SymmetricSum:
    """``Σ x xᵀ`` over rows that come by and by.

    Parameters
    ----------
    constant
        What every x has as a last number, beside those of the rows; None for nothing.
    """

    def __init__(self, constant: float | None = None) -> None:
        self.constant = constant
        self.count = 0
        """How many rows there were."""
        self._part: torch.Tensor | None = None
        self._column: torch.Tensor | None = None
        self._added = 0
        self._total: torch.Tensor | None = None

    def add(self, rows: torch.Tensor) -> None:
        """Take in rows ``[T, D]``."""
        size = rows.shape[1]
        if self._part is None:
            # What lies under the diagonal blocks is not read, and written by some products only.
            self._part = rows.new_zeros(size, size)
            self._column = rows.new_zeros(size)
        assert self._column is not None
        with float32_products():
            for start, stop in _block_rows(size, FEW_BLOCKS if self.count == 0 else BLOCKS):
                own = rows[:, start:stop].T  # [h, T]
                self._part[start:stop, start:].addmm_(own, rows[:, start:])
        if self.constant is not None:
            self._column += rows.sum(dim=0)
        self.count += len(rows)
        self._added += 1
        if self._added == ADDED_IN_PRECISION:
            self._widen()

    def _widen(self) -> None:
        """Add what there is in its own precision to what is there in float64."""
        assert self._part is not None
        assert self._column is not None
        size = len(self._part)
        if self._total is None:
            whole = size + (self.constant is not None)
            self._total = self._part.new_zeros(whole, whole, dtype=torch.float64)
        for start, stop in _block_rows(size):
            self._total[start:stop, start:size] += self._part[start:stop, start:]
        if self.constant is not None:
            column = self.constant * self._column.double()  # [D]
            self._total[:size, size] += column
            self._total[size, :size] += column
        self._part.zero_()
        self._column.zero_()
        self._added = 0

    @property
    def trace(self) -> torch.Tensor:
        """A number that is finite only where all rows were, the constant left out."""
        sums = self._part if self._added else self._total
        assert sums is not None
        return sums.diagonal().sum()

    def result(self) -> torch.Tensor:
        """Return the sum, ``[D, D]`` (the constant counted), float64."""
        if self._added:
            self._widen()
        assert self._total is not None
        total = self._total
        assert self._part is not None
        size = len(self._part)
        for start, stop in _block_rows(size):
            total[stop:size, start:stop] = total[start:stop, stop:size].T
            upper = total[start:stop, start:stop].triu()  # [h, h]
            total[start:stop, start:stop] = upper + upper.triu(1).T
        if self.constant is not None:
            total[-1, -1] = self.constant**2 * self.count
        return total


def _block_rows(size: int, blocks: int = BLOCKS) -> list[tuple[int, int]]:
    """Cut the rows of a product ``[D, D]`` into blocks."""
    height = max(-(-size // blocks), NARROWEST)
    return [(start, min(start + height, size)) for start in range(0, size, height)]
