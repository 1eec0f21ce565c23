"""Norms of per-example gradients, from factors: no gradient is formed where that costs more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from hessinf.gradients import FactoredGradients, Gradients
from hessinf.gradients.layers import MatrixUnit
from hessinf.scores.cost_model import Factors, forming, moved, product
from hessinf.scores.joined_factors import JoinedFactors, factor_shapes, joined
from hessinf.scores.planner import tile_bytes


def squared_norms(gradients: Gradients) -> torch.Tensor:
    """Compute ``‖∇_i‖²`` of B examples.

    With one position, it is ``‖r‖²‖c‖²`` for a matrix; with several, the sum of ``(r_s·r_t)
    (c_s·c_t)`` over their pairs, or that of the squares of the gradient, whichever costs less.

    Parameters
    ----------
    gradients
        Tensors, or factors.

    Returns
    -------
    torch.Tensor
        ``[B]``.
    """
    if not isinstance(gradients, FactoredGradients):
        return gradients.flatten().square().sum(1)  # [B]
    total = gradients.rest.square().sum(1)  # [B]
    return sums_over_matrices(total, gradients, _of_matrix, _numbers)


def sums_over_matrices(
    total: torch.Tensor,
    gradients: FactoredGradients,
    of_matrix: Callable[[FactoredGradients, MatrixUnit], torch.Tensor],
    numbers: Callable[[Sequence[Factors], MatrixUnit], int],
) -> torch.Tensor:
    """Add to numbers of B examples what each matrix adds, a few examples at a time.

    Parameters
    ----------
    total
        ``[B]``; added to in place.
    gradients
        Factors, of B examples.
    of_matrix
        From the factors of b examples and a matrix to what it adds, ``[b]``.
    numbers
        How many numbers that makes of an example, by the shapes of its factors.

    Returns
    -------
    torch.Tensor
        ``[B]``.
    """
    on_cpu = gradients.rest.device.type == "cpu"
    budget = tile_bytes(on_cpu, summed=True) // gradients.rest.element_size()
    for unit in gradients.units:
        shapes = factor_shapes(gradients, unit)
        if not shapes:
            continue
        step = max(budget // numbers(shapes, unit), 1)
        for start in range(0, gradients.count, step):
            some = slice(start, min(start + step, gradients.count))
            total[some] += of_matrix(gradients.select(some), unit)
    return total


def _numbers(shapes: Sequence[Factors], unit: MatrixUnit) -> int:
    """Count what is made of an example."""
    positions = sum(own.positions for own in shapes)
    widths = unit.out_features + unit.in_features
    if positions == 1:
        return widths
    return max(positions * (positions + widths), unit.out_features * unit.in_features)


def _of_matrix(gradients: FactoredGradients, unit: MatrixUnit) -> torch.Tensor:
    """Compute the squared norms of b examples in one matrix, ``[b]``."""
    sides = joined(gradients.usages(unit), with_bias=False)
    if len(sides) == 1 and _prefers_pairs(sides[0], unit):
        return _by_pairs(sides[0])
    matrices = joined(gradients.usages(unit), with_bias=True)
    return (
        sum((formed(side, unit) for side in matrices[1:]), formed(matrices[0], unit))
        .square()
        .sum((1, 2))
    )


def _prefers_pairs(side: JoinedFactors, unit: MatrixUnit) -> bool:
    size, positions = side.columns.element_size(), side.positions
    whole = forming(
        Factors(1, positions, side.ids), unit.out_features, unit.in_features, size
    ) + moved(unit.out_features * unit.in_features, size)
    columns = product(positions, unit.in_features, positions, size)
    rows = moved(positions**2, size)
    if not side.ids:
        rows = product(positions, unit.out_features, positions, size)
    return (columns + rows + moved(3.0 * positions**2, size)).time <= whole.time


def _by_pairs(side: JoinedFactors) -> torch.Tensor:
    if side.positions == 1:
        columns = side.columns[:, 0].square().sum(1)  # [b]
        if side.bias is not None:
            columns = columns + side.bias[:, 0].square()
        return columns if side.ids else columns * side.rows[:, 0].square().sum(1)
    products = torch.bmm(side.columns, side.columns.transpose(1, 2))  # [b, S, S]
    if side.bias is not None:
        products += side.bias[:, :, None] * side.bias[:, None, :]
    if side.ids:
        same = side.rows[:, :, None] == side.rows[:, None, :]
        return (products * same).sum((1, 2))
    return (products * torch.bmm(side.rows, side.rows.transpose(1, 2))).sum((1, 2))


def formed(side: JoinedFactors, unit: MatrixUnit) -> torch.Tensor:
    """Form the gradients in a matrix, ``[b, O, I]``, of factors that hold the bias's column."""
    if not side.ids:
        return torch.bmm(side.rows.transpose(1, 2), side.columns)
    count, _, width = side.columns.shape
    total = side.columns.new_zeros(count, unit.out_features, width)
    places = side.rows[:, :, None].expand_as(side.columns)  # [b, S, I]
    return total.scatter_add_(1, places, side.columns)
