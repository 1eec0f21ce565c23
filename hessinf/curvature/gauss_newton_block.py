"""One diagonal block of the Gauss-Newton matrix, summed up from layer factors and from rows.

Where a layer is used at S positions of an example, a row of the Gauss-Newton matrix has the form
``Σ_s g_s ⊗ a_s``, and the R rows of an example share the ``a_s``. The entries between two layers
are

    Σ_i Σ_st (Σ_r g_irs g'_irtᵀ) ⊗ (a_is a'_itᵀ),

one matrix product over examples and pairs of positions: R / S² times less work than with rows, and
four times less again on the diagonal of a layer with S = 1, where both factors are symmetric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from hessinf.curvature.layer_factors import LayerFactors
from hessinf.gradients.layers import MatrixUnit

PANEL = 512
"""Columns that are updated together: the matrix is symmetric, and what lies below the diagonal
panels is not computed."""


@dataclass(frozen=True, eq=False)
class MatrixPart:
    """The columns of a layer's matrix that lie in a block: all, all but the bias, or the bias.

    Parameters
    ----------
    unit
        The whole matrix.
    columns
        Which of its columns.
    places
        Where the entries lie in the block, ``[O, I']``.
    one_position
        Whether the layer is used at one position of each example.
    """

    unit: MatrixUnit
    columns: slice
    places: torch.Tensor
    one_position: bool

    @cached_property
    def row_pairs(self) -> torch.Tensor:
        """The pairs of rows on and above the diagonal, ``[2, O (O + 1) / 2]``."""
        size = len(self.places)
        return torch.triu_indices(size, size, device=self.places.device)

    @cached_property
    def column_pairs(self) -> torch.Tensor:
        """The pairs of columns on and above the diagonal, ``[2, I' (I' + 1) / 2]``."""
        size = self.places.shape[1]
        return torch.triu_indices(size, size, device=self.places.device)


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
            (i, j): zeros(*self._pair_shape(i, j))
            for i in range(len(parts))
            for j in range(i, len(parts))
        }
        self._rest = zeros(len(self.rest), len(self.rest))  # [W, W]
        self._mixed = zeros(len(self.rest), len(self.factored))  # [W, F]

    def _pair_shape(self, i: int, j: int) -> tuple[int, int]:
        left, right = self.parts[i], self.parts[j]
        if i == j and left.one_position:
            return left.row_pairs.shape[1], left.column_pairs.shape[1]
        (o, a), (p, b) = left.places.shape, right.places.shape
        return o * p, a * b

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
        for (i, j), total in self._pairs.items():
            left, right = self.parts[i], self.parts[j]
            if left.unit not in factors or right.unit not in factors:
                continue
            if i == j and left.one_position:
                _add_product(total, *_own_products(factors[left.unit], left))
            else:
                _add_product(
                    total, *_products(factors[left.unit], left, factors[right.unit], right)
                )
        if self.needs_rows:
            assert rows is not None
            wide = rows if len(self.rest) == self.size else rows[:, self.rest]  # [M, W]
            add_outer_products(self._rest, wide)
            if len(self.factored):
                _add_product(self._mixed, wide, rows[:, self.factored])

    def matrix(self) -> torch.Tensor:
        """Put the sum together, ``[P_b, P_b]``, float64; what it was made of is used up."""
        mirror_upper(self._rest)
        if len(self.rest) == self.size:
            return self._rest
        matrix = self._rest.new_zeros(self.size, self.size)
        if self.needs_rows:
            matrix[self.rest[:, None], self.rest] = self._rest
            matrix[self.rest[:, None], self.factored] = self._mixed
            matrix[self.factored[:, None], self.rest] = self._mixed.T
        for i, j in list(self._pairs):
            left, right = self.parts[i], self.parts[j]
            total = self._pairs.pop((i, j))
            if i == j and left.one_position:
                total = _unfolded(total, left)  # [O O, I I]
            (o, a), (p, b) = left.places.shape, right.places.shape
            entries = total.view(o, p, a, b).transpose(1, 2).reshape(o * a, p * b)
            if i == j and not left.one_position:
                entries = (entries + entries.T).mul_(0.5)  # symmetric to the last bit
            rows, columns = left.places.flatten(), right.places.flatten()
            matrix[rows[:, None], columns] = entries
            if i != j:
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


def _own_products(factors: LayerFactors, part: MatrixPart) -> tuple[torch.Tensor, torch.Tensor]:
    """Pair the factors of a matrix at one position with themselves, without repetitions."""
    rows = factors.rows[:, :, 0]  # [K, B, O]
    grams = rows.permute(1, 2, 0) @ rows.transpose(0, 1)  # [B, O, O]
    inputs = factors.columns[:, 0, part.columns]  # [B, I']
    i, j = part.row_pairs
    a, b = part.column_pairs
    return grams[:, i, j], inputs[:, a] * inputs[:, b]


def _unfolded(total: torch.Tensor, part: MatrixPart) -> torch.Tensor:
    """Repeat what the pairs above the diagonals stand for: ``[O O, I I]``."""

    def order(pairs: torch.Tensor, size: int) -> torch.Tensor:
        where = torch.empty(size, size, dtype=torch.int64, device=pairs.device)
        number = torch.arange(pairs.shape[1], device=pairs.device)
        where[pairs[0], pairs[1]] = number
        where[pairs[1], pairs[0]] = number
        return where.flatten()

    o, i = part.places.shape
    return total[order(part.row_pairs, o)][:, order(part.column_pairs, i)]


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


def mirror_upper(matrix: torch.Tensor) -> None:
    """Copy what lies above the diagonal below it, in place and panel by panel."""
    for start in range(0, len(matrix), PANEL):
        stop = min(start + PANEL, len(matrix))
        corner = matrix[start:stop, start:stop]
        corner.copy_(corner.triu() + corner.triu(1).T)
        matrix[start:stop, :start] = matrix[:start, start:stop].T
