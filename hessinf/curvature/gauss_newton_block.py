"""One diagonal block of the Gauss-Newton matrix, summed up from layer factors and from rows.

Where a layer is used at S positions of an example, a row of the Gauss-Newton matrix has the form
``Σ_s g_s ⊗ a_s``, and the R rows of an example share the ``a_s``. The entries between two layers
are

    Σ_i Σ_st (Σ_r g_irs g'_irtᵀ) ⊗ (a_is a'_itᵀ),

one matrix product over examples and pairs of positions: R / S² times less work than with rows, and
four times less again on the diagonal of a layer with S = 1, where both factors are symmetric
(:class:`OuterSums`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from hessinf.curvature.cholesky import mirror_upper
from hessinf.curvature.layer_factors import LayerFactors
from hessinf.curvature.matrix_part import MatrixPart
from hessinf.curvature.outer_sums import OuterSums
from hessinf.gradients.layers import MatrixUnit

PANEL = 512
"""Columns that are updated together: the matrix is symmetric, and what lies below the diagonal
panels is not computed."""


class GaussNewtonBlock:
    """Adds up one block, ``Σ rowsᵀ rows``.

    Parameters
    ----------
    size
        P_b.
    parts
        What is summed up from layer factors.
    idle
        Which columns are zero, ``[P_b]``. All others come from rows.
    """

    def __init__(self, size: int, parts: Sequence[MatrixPart], idle: torch.Tensor) -> None:
        self.size = size
        self.parts = parts
        device = idle.device
        factored = torch.zeros(size, dtype=torch.bool, device=device)  # [P_b]
        for part in parts:
            factored[part.places.flatten()] = True
        self.factored = factored.nonzero()[:, 0]  # [F]
        self.rest = (~factored & ~idle).nonzero()[:, 0]  # [W]

        def zeros(*shape: int) -> torch.Tensor:
            return torch.zeros(*shape, dtype=torch.float64, device=device)

        self._pairs = {
            (left, right): zeros(left.height * right.height, left.width * right.width)
            for place, left in enumerate(parts)
            for right in parts[place:]
            if not (left.one_position and right.one_position)
        }
        self._rest = zeros(len(self.rest), len(self.rest))  # [W, W]
        self._mixed = zeros(len(self.rest), len(self.factored))  # [W, F]
        matrix = self._rest if len(self.rest) == size else zeros(size, size)
        self._sums = OuterSums(matrix, [part for part in parts if part.one_position])

    @property
    def needs_rows(self) -> bool:
        """Whether anything comes from rows."""
        return len(self.rest) > 0

    def add(self, factors: Mapping[MatrixUnit, LayerFactors], rows: torch.Tensor | None) -> None:
        """Add the rows of some examples.

        Parameters
        ----------
        factors
            Of the matrices that have parts in this block; without those that the examples do not
            use.
        rows
            ``[M, P_b]``: the same rows in full, where :attr:`needs_rows`.
        """
        for (left, right), total in self._pairs.items():
            if left.unit in factors and right.unit in factors:
                _add_product(
                    total, *_products(factors[left.unit], left, factors[right.unit], right)
                )
        for place, left in enumerate(self._sums.parts):
            for later, right in enumerate(self._sums.parts[place:], start=place):
                if left.unit in factors and right.unit in factors:
                    self._add_pair(place, later, factors[left.unit], factors[right.unit])
        if self.needs_rows:
            assert rows is not None
            wide = rows if len(self.rest) == self.size else rows[:, self.rest]  # [M, W]
            add_outer_products(self._rest, wide)
            if len(self.factored):
                _add_product(self._mixed, wide, rows[:, self.factored])

    def _add_pair(self, place: int, later: int, left: LayerFactors, right: LayerFactors) -> None:
        """Add what two layers make up that are used at one position each."""
        rows, others = left.rows[:, :, 0], right.rows[:, :, 0]  # [K, B, O], [K, B, O']
        curvature = rows.permute(1, 2, 0) @ others.transpose(0, 1)  # [B, O, O']
        inputs = left.columns[:, 0, self._sums.parts[place].columns]  # [B, I]
        if place == later:
            self._sums.add_within(place, curvature, inputs)
            return
        other_inputs = right.columns[:, 0, self._sums.parts[later].columns]  # [B, J]
        self._sums.add_between(place, later, curvature, inputs, other_inputs)

    def matrix(self) -> torch.Tensor:
        """Put the sum together, ``[P_b, P_b]``, float64; what it was made of is used up."""
        mirror_upper(self._rest)
        matrix = self._sums.finished()
        if matrix is self._rest:
            return matrix
        if self.needs_rows:
            matrix[self.rest[:, None], self.rest] = self._rest
            matrix[self.rest[:, None], self.factored] = self._mixed
            matrix[self.factored[:, None], self.rest] = self._mixed.T
        for left, right in list(self._pairs):
            total = self._pairs.pop((left, right))
            (o, a), (p, b) = left.places.shape, right.places.shape
            entries = total.view(o, p, a, b).transpose(1, 2).reshape(o * a, p * b)
            if left is right:
                entries = (entries + entries.T).mul_(0.5)  # symmetric to the last bit
            rows, columns = left.places.flatten(), right.places.flatten()
            matrix[rows[:, None], columns] = entries
            if left is not right:
                matrix[columns[:, None], rows] = entries.T
        return matrix


def _products(
    left: LayerFactors, left_part: MatrixPart, right: LayerFactors, right_part: MatrixPart
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pair the factors of two matrices: ``[B S S', O O']`` and ``[B S S', I I']``."""
    count, size, s, o = left.rows.shape
    t, p = right.rows.shape[2:]
    first = left.rows.permute(1, 2, 3, 0).reshape(size, s * o, count)  # [B, S O, K]
    second = right.rows.permute(1, 0, 2, 3).reshape(size, count, t * p)  # [B, K, S' O']
    grams = (first @ second).view(size, s, o, t, p).transpose(2, 3)  # [B, S, S', O, O']
    one, other = left.columns[..., left_part.columns], right.columns[..., right_part.columns]
    inputs = one[:, :, None, :, None] * other[:, None, :, None, :]  # [B, S, S', I, I']
    return grams.reshape(size * s * t, -1), inputs.reshape(size * s * t, -1)


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """Add ``leftᵀ right``; products of float32 factors are computed so, and added in float64."""
    if left.dtype == total.dtype:
        total.addmm_(left.T, right)
    else:
        total.add_(left.T @ right)


def add_outer_products(matrix: torch.Tensor, rows: torch.Tensor) -> None:
    """Add ``rowsᵀ rows`` to the panels on and above the diagonal of ``matrix``, in place.

    Parameters
    ----------
    matrix
        ``[P, P]``, float64.
    rows
        ``[M, P]``.
    """
    for start in range(0, len(matrix), PANEL):
        stop = min(start + PANEL, len(matrix))
        _add_product(matrix[:stop, start:stop], rows[:, :stop], rows[:, start:stop])
