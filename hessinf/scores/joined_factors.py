"""``JoinedFactors``: the factors of all calls that used a matrix, position beside position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from hessinf.gradients.layers import MatrixUnit, Usage
from hessinf.scores.cost_model import Factors

SIDES: tuple[Literal["rows", "columns"], ...] = ("rows", "columns")


class FactorSource(Protocol):
    """Gradients whose matrices are sums of outer products, of K = 1 number of each example."""

    @property
    def count(self) -> int:
        """B."""

    def usages(self, unit: MatrixUnit) -> list[Usage]:
        """List the factors of a matrix's gradient."""

    def positions(self, unit: MatrixUnit) -> dict[Literal["rows", "columns"], int]:
        """Count the positions in the factors, by the side of the gradient."""

    def select(self, places: slice, /) -> FactorSource:
        """Keep some examples."""


@dataclass(frozen=True)
class JoinedFactors:
    """Factors whose rows are of one kind: ``Σ_s rows_s ⊗ columns_s`` of B examples.

    Parameters
    ----------
    rows
        ``[B, S, O]``, or ids ``[B, S]``.
    columns
        ``[B, S, I]``.
    bias
        What stands in the bias's column at each position, ``[B, S]``, where there is such a column
        that is no part of ``columns``.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    bias: torch.Tensor | None = None

    @property
    def ids(self) -> bool:
        """Whether rows are ids."""
        return self.rows.ndim == 2

    @property
    def positions(self) -> int:
        """S."""
        return self.columns.shape[1]


def factor_shapes(source: FactorSource, unit: MatrixUnit) -> list[Factors]:
    """Say of what shape the factors that :func:`joined` makes are, without making them."""
    positions = source.positions(unit)
    return [
        Factors(source.count, positions[side], ids=side == "columns")
        for side in SIDES
        if side in positions
    ]


def joined(usages: Sequence[Usage], *, with_bias: bool) -> list[JoinedFactors]:
    """Join calls: one for dense rows, one for ids, where there are any.

    Parameters
    ----------
    usages
        With K = 1.
    with_bias
        Whether columns hold the bias's.
    """
    found = []
    for side in SIDES:
        own = [usage for usage in usages if usage.gradient_side == side]
        if not own:
            continue
        rows = [usage.rows[0] if side == "rows" else usage.rows for usage in own]
        columns = [_three_dimensional(x.columns if with_bias else x.inputs) for x in own]
        found.append(JoinedFactors(_beside(rows), _beside(columns), _bias(own)))
    return found


def _bias(usages: Sequence[Usage]) -> torch.Tensor | None:
    if usages[0].bias_column is None:
        return None
    parts = [
        usage.inputs.new_full(_three_dimensional(usage.inputs).shape[:2], usage.bias_column or 0)
        for usage in usages
    ]
    return _beside(parts)


def _three_dimensional(columns: torch.Tensor) -> torch.Tensor:
    return columns[0] if columns.ndim == 4 else columns


def _beside(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)
