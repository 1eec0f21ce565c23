"""Weighted squared norms of per-example gradients, from factors: ``Σ_oi W_oi (Q_Rᵀ G Q_C)²_oi``.

With one position the gradient is ``r cᵀ``, and its squares in any pair of bases are products of
squares: ``((r Q_R)²)ᵀ W (c Q_C)²``. No gradient is formed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from hessinf.gradients import FactoredGradients
from hessinf.gradients.layers import MatrixUnit
from hessinf.scores.cost_model import Factors
from hessinf.scores.joined_factors import JoinedFactors, joined
from hessinf.scores.norms import formed, sums_over_matrices


@dataclass(frozen=True, eq=False)
class MatrixWeights:
    """What the squares of a matrix's gradient are multiplied with, and in which bases.

    Parameters
    ----------
    values
        W, ``[O, I]``.
    rows, columns
        Orthonormal columns, ``[O, O]`` and ``[I, I]``; None for unit vectors.
    """

    values: torch.Tensor
    rows: torch.Tensor | None = None
    columns: torch.Tensor | None = None


def weighted_norms(
    gradients: FactoredGradients, weights: Mapping[str, MatrixWeights]
) -> torch.Tensor:
    """Add up the weighted squares of the gradients of B examples in all matrices.

    Parameters
    ----------
    gradients
        Factors. What lies in no matrix is left out.
    weights
        By the name of each matrix, all in one precision: factors are brought to it.

    Returns
    -------
    torch.Tensor
        ``[B]``.
    """

    def of_matrix(part: FactoredGradients, unit: MatrixUnit) -> torch.Tensor:
        return _of_matrix(joined(part.usages(unit), with_bias=True), unit, weights[unit.name])

    def numbers(shapes: Sequence[Factors], unit: MatrixUnit) -> int:
        return _numbers(shapes, unit, weights[unit.name])

    precision = next(iter(weights.values())).values.dtype if weights else gradients.rest.dtype
    total = gradients.rest.new_zeros(gradients.count, dtype=precision)  # [B]
    return sums_over_matrices(total, gradients, of_matrix, numbers)


def _of_matrix(
    factors: Sequence[JoinedFactors], unit: MatrixUnit, weights: MatrixWeights
) -> torch.Tensor:
    """Compute what a matrix adds, ``[b]``."""
    sides = [_in_precision(side, weights.values.dtype) for side in factors]
    if len(sides) == 1:
        (side,) = sides
        if side.ids and weights.rows is None:
            return _looked_up(side, weights)
        if not side.ids and side.positions == 1:
            left = _times(side.rows[:, 0], weights.rows).square() @ weights.values  # [b, I]
            return (left * _times(side.columns[:, 0], weights.columns).square()).sum(1)
        if not side.ids and _prefers_factors(side.positions, unit, weights):
            rows, columns = _times(side.rows, weights.rows), _times(side.columns, weights.columns)
            return _squares(formed(JoinedFactors(rows, columns), unit), weights)
    whole = sum((formed(side, unit) for side in sides[1:]), formed(sides[0], unit))  # [b, O, I]
    if weights.rows is not None:
        whole = weights.rows.T @ whole
    return _squares(_times(whole, weights.columns), weights)


def _in_precision(side: JoinedFactors, dtype: torch.dtype) -> JoinedFactors:
    return JoinedFactors(side.rows if side.ids else side.rows.to(dtype), side.columns.to(dtype))


def _times(values: torch.Tensor, basis: torch.Tensor | None) -> torch.Tensor:
    return values if basis is None else values @ basis


def _squares(matrices: torch.Tensor, weights: MatrixWeights) -> torch.Tensor:
    """Compute ``Σ_oi W_oi M²_boi``, ``[b]``, of matrices ``[b, O, I]``."""
    return matrices.square().flatten(1) @ weights.values.flatten()


def _looked_up(side: JoinedFactors, weights: MatrixWeights) -> torch.Tensor:
    """Compute what rows add that are looked up, ``[b]``; the table is never formed.

    A row that is looked up at several positions has the sum of their gradients. Its square is the
    inner product of that sum with each of its terms, added up.
    """
    columns = _times(side.columns, weights.columns)  # [b, S, I]
    sums = columns  # [b, S, I]
    if side.positions > 1:
        same = side.rows[:, :, None] == side.rows[:, None, :]  # [b, S, S]
        sums = same.to(columns.dtype) @ columns
    return (weights.values[side.rows] * sums * columns).sum((1, 2))


def _prefers_factors(positions: int, unit: MatrixUnit, weights: MatrixWeights) -> bool:
    """Whether it is less work to rotate factors than the gradient."""
    outer, inner = unit.out_features, unit.in_features
    factors, gradient = 0, 0
    if weights.rows is not None:
        factors, gradient = factors + outer * outer, gradient + outer * inner * outer
    if weights.columns is not None:
        factors, gradient = factors + inner * inner, gradient + outer * inner * inner
    return positions * factors <= gradient


def _numbers(shapes: Sequence[Factors], unit: MatrixUnit, weights: MatrixWeights) -> int:
    """Count what is made of an example."""
    positions = sum(own.positions for own in shapes)
    outer, inner = unit.out_features, unit.in_features
    if len(shapes) == 1 and shapes[0].ids and weights.rows is None:
        return positions * (positions + 3 * inner)
    if len(shapes) == 1 and positions == 1:
        return outer + 2 * inner
    return positions * (outer + inner) + 2 * outer * inner
