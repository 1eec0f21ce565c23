"""Squared gradients in a basis of rows and columns: EK-FAC's eigenvalues (George et al. 2018).

``Λ_oi = 1/N Σ_n Σ_k (Q_Rᵀ G_nk Q_C)²_oi`` with the whole gradient ``G_nk`` of example n and Fisher
column k: positions, calls of a layer, and usages of shared weights are added up before they are
squared. Of all matrices that are diagonal in the basis, this one is nearest to the Fisher. In
the basis of the parameters themselves it is the diagonal of the Fisher.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from hessinf.curvature.kronecker_factors import (
    by_module,
    gradient_side,
    input_side,
    require_finite_sides,
    wide,
)
from hessinf.curvature.symmetric_product import ADDED_IN_PRECISION
from hessinf.runtime.float32_products import float32_products

if TYPE_CHECKING:
    from hessinf.gradients.layers import LayerGradients, MatrixUnit, Usage

Basis = tuple[torch.Tensor | None, torch.Tensor | None]
"""Eigenvectors of the rows ``[O, O]`` and of the columns ``[I, I]``; None for unit vectors."""

NUMBERS_AT_ONCE = 1 << 24
"""How many numbers products of positions may have."""

NUMBERS_IN_CACHE = 1 << 17
"""How many entries of gradients are formed together: as many as stay in a cache."""


class SquaredGradients:
    """Squares of gradients in given bases, over one batch, by unit.

    Parameters
    ----------
    units
        Which matrices of parameters.
    bases
        One for each; the same tensor where units share one.
    """

    def __init__(self, units: Sequence[MatrixUnit], bases: Sequence[Basis]) -> None:
        self.units = units
        self.bases = bases
        self._parts: list[torch.Tensor | None] = [None for _ in units]
        self._added = 0
        self._totals: list[torch.Tensor | None] = [None for _ in units]
        self._seen: list[tuple[MatrixUnit, Sequence[Usage]]] = []
        self._cast: dict[tuple[int, torch.dtype], torch.Tensor] = {}
        self._inputs: dict[Any, tuple[Any, torch.Tensor]] = {}

    def add(self, gradients: LayerGradients) -> None:
        """Take in K columns of the Fisher."""
        for place, (unit, basis) in enumerate(zip(self.units, self.bases, strict=True)):
            usages = [one for group in by_module(gradients, unit).values() for one in group]
            if usages:
                with float32_products():
                    part = self._squares(usages, basis, unit.out_features)  # [O, I]
                self._seen.append((unit, usages))
            else:  # no output of this batch depends on it
                part = wide(gradients.cotangents).new_zeros(unit.out_features, unit.in_features)
            known = self._parts[place]
            self._parts[place] = part if known is None else known.add_(part)
        self._inputs = {}
        self._added += 1

    def end_examples(self) -> None:
        """Learn that all columns of the examples were there."""
        finite = [part.sum().isfinite() for part in self._parts if part is not None]
        if finite and not bool(torch.stack(finite).all()):
            for unit, usages in self._seen:
                require_finite_sides(unit, usages)
        self._seen = []
        if self._added >= ADDED_IN_PRECISION:
            self._widen()

    def _widen(self) -> None:
        for place, part in enumerate(self._parts):
            if part is not None:
                known = self._totals[place]
                wider = part.double()
                self._totals[place] = wider if known is None else known.add_(wider)
        self._parts = [None for _ in self.units]
        self._added = 0

    def result(self) -> list[torch.Tensor | None]:
        """Return the sums by unit, ``[O, I]``, float64."""
        self._widen()
        return self._totals

    def _squares(self, usages: Sequence[Usage], basis: Basis, rows: int) -> torch.Tensor:
        """Compute ``Σ_b Σ_k (Q_Rᵀ G_bk Q_C)²``, ``[O, I]``."""
        row_basis, column_basis = basis
        plain = [usage for usage in usages if usage.gradient_side == "rows"]
        by_id = [usage for usage in usages if usage.gradient_side == "columns"]
        if not by_id:
            left = self._rotated(gradient_side(plain), row_basis)  # [K, B, S, O]
            right = self._rotated_inputs(plain, column_basis)  # [B, S, I]
            if _products_of_positions_are_cheaper(left, right):
                return _by_products_of_positions(left, right)
            return _of_outer_products(left, right)
        ids = input_side(by_id)  # [B, S']
        coded = self._rotated(gradient_side(by_id), column_basis)  # [K, B, S', I]
        if row_basis is None and not plain:
            return _by_rows_that_occur(ids, coded, rows)
        if row_basis is not None:
            ids = row_basis.to(coded.dtype)[ids]  # [B, S', O]
        if not plain:
            return _materialized(None, None, ids, coded, rows)
        left = self._rotated(gradient_side(plain), row_basis)  # [K, B, S, O]
        right = self._rotated_inputs(plain, column_basis)  # [B, S, I]
        return _materialized(left, right, ids, coded, rows)

    def _rotated(self, side: torch.Tensor, basis: torch.Tensor | None) -> torch.Tensor:
        return side if basis is None else rotated(side, None, self._like(basis, side))

    def _rotated_inputs(self, usages: Sequence[Usage], basis: torch.Tensor | None) -> torch.Tensor:
        """Rotate the inputs of calls, the bias's column too; once for all units that share them."""
        if basis is None or len(usages) > 1:
            return self._rotated(input_side(usages), basis)
        (usage,) = usages
        inputs = wide(usage.inputs)  # [B, S, D]
        layout = (inputs.data_ptr(), inputs.shape, inputs.stride(), inputs.dtype)
        key = (*layout, usage.bias_column, id(basis))
        if key not in self._inputs:
            # The usage stays as long as what is known by the address of its inputs.
            self._inputs[key] = (
                usage,
                rotated(inputs, usage.bias_column, self._like(basis, inputs)),
            )
        return self._inputs[key][1]

    def _like(self, basis: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
        """Return a basis in the precision of what it rotates."""
        key = (id(basis), side.dtype)
        if key not in self._cast:
            self._cast[key] = basis.to(side.dtype)
        return self._cast[key]


def rotated(inputs: torch.Tensor, constant: float | None, basis: torch.Tensor) -> torch.Tensor:
    """Rotate ``[..., D]``, with a constant as a last number where there is one: ``[..., D']``.

    Parameters
    ----------
    inputs
        The numbers.
    constant
        What each has beside them; None for nothing.
    basis
        ``[D or D + 1, D']``.
    """
    # One product of all positions: what is not contiguous would be multiplied example by example.
    flat = inputs.reshape(-1, inputs.shape[-1])
    if constant is not None:
        flat = torch.addmm(constant * basis[-1], flat, basis[:-1])
    else:
        flat = flat @ basis
    return flat.view(*inputs.shape[:-1], basis.shape[1])


def _products_of_positions_are_cheaper(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Compare multiplications: all gradients, beside products of pairs of positions.

    With one position the latter has no gradient to form at all; with many columns of the Fisher
    those are added up before the sides meet.
    """
    vectors, examples, positions, height = left.shape
    width = right.shape[2]
    gradients = vectors * (positions + 1) * height * width
    pairs = positions**2 * (vectors * height + width + height * width)
    return pairs <= gradients and examples * positions**2 * (height + width) <= NUMBERS_AT_ONCE


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


def _of_outer_products(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Form gradients, as many as stay in a cache, and square them: ``[O, I]``.

    Parameters
    ----------
    left, right
        ``[K, B, S, O]`` and ``[B, S, I]``.
    """
    vectors, examples, _, rows = left.shape
    width = right.shape[2]
    total = left.new_zeros(rows, width)  # [O, I]
    step = min(max(NUMBERS_IN_CACHE // (rows * width), 1), examples)
    room = left.new_empty(step, rows, width)  # [b, O, I]
    for vector in range(vectors):
        for start in range(0, examples, step):
            some = slice(start, min(start + step, examples))
            gradients = room[: some.stop - start]
            torch.bmm(left[vector, some].mT, right[some], out=gradients)
            if step < 8:
                for gradient in gradients:
                    total.addcmul_(gradient, gradient)
            else:
                total += gradients.square_().sum(dim=0)
    return total


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
    step = max(NUMBERS_IN_CACHE // (rows * width * vectors), 1)
    for start in range(0, examples, step):
        part = slice(start, start + step)
        at_once = max(NUMBERS_IN_CACHE // (rows * width * min(step, examples)), 1)
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
