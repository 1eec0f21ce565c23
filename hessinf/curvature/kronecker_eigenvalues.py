"""Squared gradients in a basis of rows and columns: EK-FAC's eigenvalues (George et al. 2018).

``Λ_oi = 1/N Σ_n Σ_k (Q_Rᵀ G_nk Q_C)²_oi`` with the whole gradient ``G_nk`` of example n and Fisher
column k: positions, calls of a layer, and usages of shared weights are added up before they are
squared. Of all matrices that are diagonal in the basis, this one is nearest to the Fisher. In
the basis of the parameters themselves it is the diagonal of the Fisher.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from hessinf.curvature.kronecker_factors import (
    by_module,
    gradient_side,
    input_side,
    require_finite_sides,
)

if TYPE_CHECKING:
    from hessinf.gradients.layers import LayerGradients, MatrixUnit, Usage

Basis = tuple[torch.Tensor | None, torch.Tensor | None]
"""Eigenvectors of the rows ``[O, O]`` and of the columns ``[I, I]``; None for unit vectors."""

NUMBERS_AT_ONCE = 1 << 22
"""How many entries of gradients are worked on together: 32 MiB in float64."""


class SquaredGradients:
    """Squares of gradients in given bases, over one batch, by unit.

    Parameters
    ----------
    units
        Which matrices of parameters.
    bases
        One for each.
    """

    def __init__(self, units: Sequence[MatrixUnit], bases: Sequence[Basis]) -> None:
        self.units = units
        self.bases = bases
        self.sums: list[torch.Tensor | None] = [None for _ in units]

    def add(self, gradients: LayerGradients) -> None:
        """Take in K columns of the Fisher."""
        for place, (unit, basis) in enumerate(zip(self.units, self.bases, strict=True)):
            usages = [one for group in by_module(gradients, unit).values() for one in group]
            if usages:
                part = _squares(usages, basis, unit.out_features).double()  # [O, I]
                if not bool(part.isfinite().all()):
                    require_finite_sides(unit, usages)
            else:  # no output of this batch depends on it
                part = gradients.cotangents.new_zeros(
                    unit.out_features, unit.in_features, dtype=torch.float64
                )
            known = self.sums[place]
            self.sums[place] = part if known is None else known.add_(part)

    def result(self) -> list[torch.Tensor | None]:
        """Return the sums by unit, ``[O, I]``."""
        return self.sums


def _squares(usages: Sequence[Usage], basis: Basis, rows: int) -> torch.Tensor:
    """Compute ``Σ_b Σ_k (Q_Rᵀ G_bk Q_C)²``, ``[O, I]``."""
    row_basis, column_basis = basis
    plain = [usage for usage in usages if usage.gradient_side == "rows"]
    by_id = [usage for usage in usages if usage.gradient_side == "columns"]
    if not by_id:
        left = _rotated(gradient_side(plain), row_basis)  # [K, B, S, O]
        right = _rotated(input_side(plain), column_basis)  # [B, S, I]
        if _products_of_positions_are_cheaper(left, right):
            return _by_products_of_positions(left, right)
        return _materialized(left, right, None, None, rows)
    ids = input_side(by_id)  # [B, S']
    coded = _rotated(gradient_side(by_id), column_basis)  # [K, B, S', I]
    if row_basis is None and not plain:
        return _by_rows_that_occur(ids, coded, rows)
    if row_basis is not None:
        ids = row_basis.to(coded.dtype)[ids]  # [B, S', O]
    if not plain:
        return _materialized(None, None, ids, coded, rows)
    left = _rotated(gradient_side(plain), row_basis)  # [K, B, S, O]
    right = _rotated(input_side(plain), column_basis)  # [B, S, I]
    return _materialized(left, right, ids, coded, rows)


def _rotated(side: torch.Tensor, basis: torch.Tensor | None) -> torch.Tensor:
    return side if basis is None else side @ basis.to(side.dtype)


def _products_of_positions_are_cheaper(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Compare multiplications: all gradients, beside products of pairs of positions.

    With one position the latter has no gradient to form at all; with many columns of the Fisher
    those are added up before the sides meet.
    """
    vectors, examples, positions, height = left.shape
    width = right.shape[2]
    gradients = vectors * (positions + 1) * height * width
    pairs = positions**2 * (vectors * height + width + height * width)
    return pairs <= gradients and examples * positions**2 * (height + width) <= NUMBERS_AT_ONCE * 4


def _by_products_of_positions(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Use ``(Σ_s l_s r_s)² = Σ_st (l_s l_t)(r_s r_t)``, the columns of the Fisher added up."""
    if left.shape[2] == 1:
        return left[:, :, 0].square().sum(dim=0).T @ right[:, 0].square()  # [O, I]
    lefts = torch.einsum("kbso,kbto->bsto", left, left)  # [B, S, S, O]
    rights = torch.einsum("bsi,bti->bsti", right, right)  # [B, S, S, I]
    # Squares are no less than zero; sums of products may fall short of it by rounding.
    return (lefts.flatten(0, 2).T @ rights.flatten(0, 2)).clamp_(min=0)  # [O, I]


def _by_rows_that_occur(ids: torch.Tensor, coded: torch.Tensor, rows: int) -> torch.Tensor:
    """Square gradients of which only the rows of the ids ``[B, S]`` are not zero: ``[O, I]``."""
    vectors, examples, _, width = coded.shape
    places = ids + rows * torch.arange(examples, device=ids.device)[:, None]  # [B, S]
    distinct, number = torch.unique(places, return_inverse=True)  # [U], [B, S]
    sums = coded.new_zeros(vectors, len(distinct), width)
    sums.index_add_(1, number.flatten(), coded.flatten(1, 2))  # [K, U, I]
    squares = sums.square().sum(dim=0)  # [U, I]
    return squares.new_zeros(rows, width).index_add_(0, distinct % rows, squares)


def _materialized(
    left: torch.Tensor | None,
    right: torch.Tensor | None,
    ids: torch.Tensor | None,
    coded: torch.Tensor | None,
    rows: int,
) -> torch.Tensor:
    """Form gradients, a few at a time, and square them: ``[O, I]``.

    Parameters
    ----------
    left, right
        ``[K, B, S, O]`` and ``[B, S, I]``: outer products, or None.
    ids, coded
        ``[B, S]`` and ``[K, B, S, I]``: rows that are added to, or None; ids may be rows of a
        basis instead, ``[B, S, O]``.
    rows
        O.
    """
    some = left if left is not None else coded
    assert some is not None
    vectors, examples = some.shape[:2]
    width = (right if right is not None else some).shape[-1]
    total = some.new_zeros(rows, width)  # [O, I]
    step = max(NUMBERS_AT_ONCE // (rows * width * vectors), 1)
    for start in range(0, examples, step):
        part = slice(start, start + step)
        at_once = max(NUMBERS_AT_ONCE // (rows * width * min(step, examples)), 1)
        for first in range(0, vectors, at_once):
            some_vectors = slice(first, first + at_once)
            gradients: torch.Tensor | None = None
            if left is not None and right is not None:
                gradients = torch.einsum(
                    "kbso,bsi->kboi", left[some_vectors, part], right[part]
                )  # [K, B, O, I]
            if ids is not None and coded is not None:
                gradients = _add_rows(gradients, ids[part], coded[some_vectors, part], rows)
            assert gradients is not None
            total += gradients.square().sum(dim=(0, 1))
    return total


def _add_rows(
    gradients: torch.Tensor | None, ids: torch.Tensor, coded: torch.Tensor, rows: int
) -> torch.Tensor:
    """Add what belongs to ids to gradients ``[K, B, O, I]``."""
    if ids.is_floating_point():
        added = torch.einsum("bso,kbsi->kboi", ids, coded)
        return added if gradients is None else gradients + added
    vectors, examples, positions, width = coded.shape
    if gradients is None:
        gradients = coded.new_zeros(vectors, examples, rows, width)
    places = ids + rows * torch.arange(examples, device=ids.device)[:, None]  # [B, S]
    flat = gradients.reshape(vectors, examples * rows, width)
    flat = flat.index_add(1, places.flatten(), coded.reshape(vectors, examples * positions, width))
    return flat.reshape(vectors, examples, rows, width)
