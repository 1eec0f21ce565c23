"""``EigenbasisProducts``: scores with the inverse of a matrix's block in its eigenbasis.

``score[q, i] = ⟨G_q, Q_R (W ∘ (Q_Rᵀ G_i Q_C)) Q_Cᵀ⟩`` where ``G_q`` and ``G_i`` are sums of outer
products over positions. There are three ways, of which the one is taken that costs least:

- "rotated-queries": the queries' matrices are multiplied with W and rotated back; scores are inner
  products with gradients as they are;
- "rotated-training": training gradients are rotated too, as factors, which is less where there are
  many queries or large matrices;
- "low-rank": where examples have one position, W is taken as a sum of few products
  (:mod:`hessinf.scores.eigenbasis_low_rank`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Literal

import torch

from hessinf.gradients.layers import MatrixUnit, Usage
from hessinf.scores.cost_model import Cost, Factors, Shape, moved, product
from hessinf.scores.eigenbasis_low_rank import LowRankInverse, Terms
from hessinf.scores.joined_factors import FactorSource
from hessinf.scores.matrix_products import MatrixProducts
from hessinf.scores.planner import Choice, choose_for_matrices
from hessinf.scores.precision import ScorePrecision
from hessinf.scores.workspace import Workspace

Way = Literal["rotated-queries", "rotated-training", "low-rank"]

FEWEST_TERMS = 4
"""Decomposing is tried where that many terms would be less work than none."""


class Eigenbasis:
    """The block of a matrix ``[O, I]`` of parameters, in its eigenbasis.

    Parameters
    ----------
    rows, columns
        Eigenvectors ``[O, O]`` and ``[I, I]``, in the precision of the model; None for unit
        vectors.
    inverse
        ``W = 1 / (Λ + λ)``, ``[O, I]``, float64.
    second_moments
        Λ: what training examples have in each direction, as a mean square, ``[O, I]``, float64.
    row_sizes, column_sizes
        ``[O]`` and ``[I]``: the same for gradients and inputs by themselves, as a root mean square.
    """

    def __init__(
        self,
        rows: torch.Tensor | None,
        columns: torch.Tensor | None,
        inverse: torch.Tensor,
        second_moments: torch.Tensor,
        row_sizes: torch.Tensor,
        column_sizes: torch.Tensor,
    ) -> None:
        self.rows = rows
        self.columns = columns
        self.inverse = inverse
        self.second_moments = second_moments
        self._sizes = (row_sizes, column_sizes)

    @cached_property
    def low_rank(self) -> LowRankInverse:
        """W, to be decomposed."""
        return LowRankInverse(self.inverse, *self._sizes)

    def rotate(self, usage: Usage) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotate factors of K = 1: rows ``[B, S, O]`` and columns ``[B, S, I]``, the bias's too."""
        rows, inputs = usage.rows[0], usage.inputs  # [B, S, O], [B, S, D]
        if self.rows is not None:
            # One product of all positions: what is not contiguous would be multiplied one by one.
            rows = (rows.reshape(-1, rows.shape[-1]) @ self.rows).view_as(rows)
        if self.columns is None:
            return rows, usage.columns
        flat = inputs.reshape(-1, inputs.shape[-1])  # [B·S, D]
        if usage.bias_column is None:
            return rows, (flat @ self.columns).view_as(inputs)
        last = usage.bias_column * self.columns[-1]  # [I]
        flat = torch.addmm(last, flat, self.columns[:-1])  # [B·S, I]
        return rows, flat.view(*inputs.shape[:2], -1)


class QuerySides:
    """The factors of Q queries in the eigenbasis, where each has one position.

    Parameters
    ----------
    basis
        The eigenbasis.
    usage
        The only one.
    """

    def __init__(self, basis: Eigenbasis, usage: Usage) -> None:
        rows, columns = basis.rotate(usage)
        self.rows = rows[:, 0]  # [Q, O]
        self.columns = columns[:, 0]  # [Q, I]
        self.basis = basis

    @cached_property
    def expected_square(self) -> torch.Tensor:
        """The mean square of the scores that is to be expected, were Λ all there is: ``[Q]``."""
        weights = self.basis.inverse.square() * self.basis.second_moments  # [O, I]
        return _bilinear(self.rows, weights, self.columns)

    @cached_property
    def expected_error(self) -> torch.Tensor:
        """How far scores are expected to be off for ``‖R‖ = 1``, as a mean square: ``[Q]``."""
        low_rank = self.basis.low_rank
        return _bilinear(
            self.rows / low_rank.row_sizes,
            self.basis.second_moments,
            self.columns / low_rank.column_sizes,
        )


def _bilinear(rows: torch.Tensor, weights: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Compute ``Σ_oi r²_qo w_oi c²_qi`` in float64: ``[Q]``."""
    left = rows.double().square() @ weights  # [Q, I]
    return (left * columns.double().square()).sum(dim=1)


class EigenbasisProducts:
    """The share of one matrix of parameters in the scores of Q queries.

    Parameters
    ----------
    basis
        The eigenbasis of its block.
    unit
        The matrix.
    usages
        The factors of the queries' gradients.
    num_train
        N: how many training examples will go by.
    allowed
        How large the error of the scaled W may be; None for none at all.
    sides
        The factors in the eigenbasis, where they are known.
    precision
        What products are computed in.
    workspace
        Memory for tiles, which others may use in turn.
    """

    def __init__(
        self,
        basis: Eigenbasis,
        unit: MatrixUnit,
        usages: Sequence[Usage],
        num_train: int,
        *,
        allowed: float | None = None,
        sides: QuerySides | None = None,
        precision: ScorePrecision = "model",
        workspace: Workspace | None = None,
    ) -> None:
        self.basis = basis
        self.unit = unit
        self.precision: ScorePrecision = precision
        self._usages = usages
        self._sides = sides
        self._workspace = workspace or Workspace()
        self._by_rows = all(usage.gradient_side == "rows" for usage in usages)
        self._shape = Shape(
            usages[0].rows.shape[1] if self._by_rows else len(usages[0].rows),
            Factors(num_train, sum(usage.positions for usage in usages), not self._by_rows),
            unit.out_features,
            unit.in_features,
            usages[0].inputs.element_size(),
        )
        self.terms: Terms | None = None
        self._costs = self._exact_costs()
        if allowed is not None and sides is not None:
            self._decompose(allowed)
        self.way: Way = min(self._costs, key=lambda way: self._costs[way].time)
        if self.way != "low-rank":
            self.terms = None

    @property
    def choice(self) -> Choice:
        """What was chosen, and what it was predicted to take."""
        return Choice(self.unit.name, self.way, self._costs[self.way])

    def _exact_costs(self) -> dict[Way, Cost]:
        shape = self._shape
        outer, inner, size = shape.out_features, shape.in_features, shape.size
        _, cost = choose_for_matrices(shape)
        turned = product(outer, outer, inner, size) + product(outer, inner, inner, size)
        costs: dict[Way, Cost] = {"rotated-queries": cost + turned * shape.queries}
        if self._by_rows:
            costs["rotated-training"] = cost + self._rotating_training
        return costs

    @property
    def _rotating_training(self) -> Cost:
        shape = self._shape
        positions = shape.examples.count * shape.examples.positions
        return product(positions, shape.out_features, shape.out_features, shape.size) + product(
            positions, shape.in_features, shape.in_features, shape.size
        )

    def _low_rank_cost(self, terms: int) -> Cost:
        """Count two products for each term, and two more for the bound."""
        shape, count = self._shape, self._shape.examples.count
        a_term = (
            product(shape.queries, shape.out_features, count, shape.size)
            + product(shape.queries, shape.in_features, count, shape.size)
            + moved(3.0 * shape.queries * count, shape.size)
        )
        return self._rotating_training + a_term * (terms + 1)

    def _decompose(self, allowed: float) -> None:
        """Look for terms that cost less than to do without them."""
        least = min(cost.time for cost in self._costs.values())
        start = self._low_rank_cost(0).time
        a_term = self._low_rank_cost(1).time - start
        most = int((least - start) / a_term)
        if most >= FEWEST_TERMS:
            self.terms = self.basis.low_rank.terms(allowed, most)
        if self.terms is not None:
            self._costs["low-rank"] = self._low_rank_cost(len(self.terms.rows))

    def _in_basis(self) -> torch.Tensor:
        """Multiply the queries' gradients in the eigenbasis with W: ``[Q, O, I]``."""
        shape = self._shape
        outer, inner = shape.out_features, shape.in_features
        positions = shape.examples.positions
        sides_first = positions * (outer**2 + inner**2) < outer * inner * (outer + inner)
        if self._by_rows and sides_first:
            rotated = (self.basis.rotate(usage) for usage in self._usages)
            total = _added_up(rows.mT @ columns for rows, columns in rotated)  # [Q, O, I]
        else:
            total = _added_up(usage.product(outer)[0] for usage in self._usages)  # [Q, O, I]
            if self.basis.rows is not None:
                total = self.basis.rows.T @ total
            if self.basis.columns is not None:
                total = total @ self.basis.columns
        return total.mul_(self.basis.inverse.to(total.dtype))

    @cached_property
    def _rotated_back(self) -> MatrixProducts:
        """Products with gradients as they are."""
        matrices, bias = self._in_basis(), None
        if self.basis.rows is not None:
            matrices = self.basis.rows @ matrices
        columns = self.basis.columns
        if columns is not None and self.unit.bias is not None:
            bias = matrices @ columns[-1]  # [Q, O]
            columns = columns[:-1]
        matrices = matrices if columns is None else matrices @ columns.T
        return self._products(matrices, bias)

    @cached_property
    def _rotated(self) -> MatrixProducts:
        """Products with gradients in the eigenbasis."""
        return self._products(self._in_basis(), None)

    def _products(self, matrices: torch.Tensor, bias: torch.Tensor | None) -> MatrixProducts:
        return MatrixProducts(
            matrices,
            bias,
            name=self.unit.name,
            precision=self.precision,
            workspace=self._workspace,
        )

    def prepare(self) -> torch.Tensor:
        """Do what is done once; return numbers of each query ``[Q]`` that are finite if all are."""
        if self.way == "low-rank":
            assert self._sides is not None
            return self._sides.rows.sum(dim=1) + self._sides.columns.sum(dim=1)
        products = self._rotated if self.way == "rotated-training" else self._rotated_back
        return products.matrices.sum(dim=(1, 2))

    def add_to(
        self, total: torch.Tensor, source: FactorSource, bound: torch.Tensor | None = None
    ) -> None:
        """Add the matrix's share to scores.

        Parameters
        ----------
        total
            ``[Q, B]``.
        source
            The gradients of B training examples, K = 1.
        bound
            ``[Q, B]``, to which is added how far the share may be off; None to do without.
        """
        if self.way != "rotated-queries":
            usages = source.usages(self.unit)
            if all(usage.gradient_side == "rows" for usage in usages):
                single = len(usages) == 1 and usages[0].positions == 1
                if self.way == "low-rank" and single:
                    self._add_terms(total, usages[0], bound)
                    return
                self._rotated.add_usages(total, [self._in_eigenbasis(one) for one in usages])
                return
        self._rotated_back.add_to(total, source, self.unit)

    def _in_eigenbasis(self, usage: Usage) -> Usage:
        rows, columns = self.basis.rotate(usage)
        return Usage(usage.module, "rows", rows.unsqueeze(0), columns, None, usage.space)

    def _add_terms(self, total: torch.Tensor, usage: Usage, bound: torch.Tensor | None) -> None:
        """Add up products of two small inner products, one for each term of W."""
        assert self.terms is not None
        assert self._sides is not None
        sides = self._sides
        rows, columns = (side[:, 0] for side in self.basis.rotate(usage))  # [B, O], [B, I]
        left = self._workspace.take("left", tuple(total.shape), rows)  # [Q, B]
        right = self._workspace.take("right", tuple(total.shape), rows)  # [Q, B]
        row_terms, column_terms = self._in_precision
        for of_rows, of_columns in zip(row_terms, column_terms, strict=True):
            torch.mm(sides.rows * of_rows, rows.T, out=left)
            torch.mm(sides.columns * of_columns, columns.T, out=right)
            total.addcmul_(left, right)
        if bound is not None and self.terms.error > 0:
            low_rank = self.basis.low_rank
            for out, own, sizes, theirs in (
                (left, sides.rows, low_rank.row_sizes, rows),
                (right, sides.columns, low_rank.column_sizes, columns),
            ):
                scaled = (own / sizes.to(own.dtype)).square_()
                torch.mm(scaled, theirs.square().T, out=out)
            bound.add_(left.mul_(right).sqrt_(), alpha=self.terms.error)

    @cached_property
    def _in_precision(self) -> tuple[torch.Tensor, torch.Tensor]:
        assert self.terms is not None
        assert self._sides is not None
        terms, like = self.terms, self._sides.rows
        return terms.rows.to(like.dtype), terms.columns.to(like.dtype)


def _added_up(parts: Iterator[torch.Tensor]) -> torch.Tensor:
    """Add tensors up, one at a time, in the memory of the first."""
    total = next(parts)
    for part in parts:
        total.add_(part)
    return total
