"""``PairProducts``: inner products of matrices that are sums of outer products on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hessinf.gradients.layers import MatrixUnit, Usage
from hessinf.scores.cost_model import Factors, Shape
from hessinf.scores.joined_factors import FactorSource, JoinedFactors, factor_shapes, joined
from hessinf.scores.planner import tile_bytes
from hessinf.scores.precision import ScorePrecision, multiplied, shortened
from hessinf.scores.workspace import Workspace


@dataclass(frozen=True)
class Flattened:
    """Factors with examples and positions in one dimension.

    Parameters
    ----------
    count
        Q or B.
    rows
        ``[n, O]``, or ids ``[n]``.
    columns
        ``[n, I]``.
    bias
        ``[n]``, or None.
    """

    count: int
    rows: torch.Tensor
    columns: torch.Tensor
    bias: torch.Tensor | None

    @property
    def positions(self) -> int:
        """S."""
        return len(self.columns) // self.count

    @property
    def ids(self) -> bool:
        """Whether rows are ids."""
        return self.rows.ndim == 1


class PairProducts:
    """Adds up ``(r_q·r_i)(c_q·c_i)`` over pairs of positions of Q queries and of examples.

    With one position each, a matrix of O times I costs O + I operations a pair.

    Parameters
    ----------
    usages
        The factors of the queries, K = 1.
    precision
        Of the products.
    workspace
        Memory for tiles, which others may use in turn.
    """

    def __init__(
        self,
        usages: Sequence[Usage],
        *,
        precision: ScorePrecision = "model",
        workspace: Workspace | None = None,
    ) -> None:
        self.precision: ScorePrecision = precision
        self._sides = [self._flattened(side) for side in joined(usages, with_bias=False)]
        self._workspace = workspace or Workspace()

    @property
    def factors(self) -> list[Factors]:
        """The shapes of the queries' factors."""
        return [Factors(side.count, side.positions, side.ids) for side in self._sides]

    def add_to(self, total: torch.Tensor, source: FactorSource, unit: MatrixUnit) -> None:
        """Add a matrix's share to scores.

        Parameters
        ----------
        total
            ``[Q, B]``.
        source
            The gradients of B examples.
        unit
            The matrix.
        """
        shapes = factor_shapes(source, unit)
        if not shapes or not self._sides:
            return
        widest = max(len(side.columns) for side in self._sides)
        most = max(own.positions for own in shapes)
        on_cpu = total.device.type == "cpu"
        budget = tile_bytes(on_cpu, summed=True) // total.element_size()
        step = max(budget // (widest * most), 1)
        for start in range(0, source.count, step):
            some = slice(start, min(start + step, source.count))
            part = source if step >= source.count else source.select(some)
            for side in joined(part.usages(unit), with_bias=False):
                examples = self._flattened(side)
                for queries in self._sides:
                    self._add(total[:, some], queries, examples)

    def _flattened(self, side: JoinedFactors) -> Flattened:
        rows = side.rows.flatten(0, 1)
        return Flattened(
            len(side.columns),
            rows if side.ids else shortened(rows, self.precision),
            shortened(side.columns.flatten(0, 1), self.precision),
            None if side.bias is None else side.bias.flatten(),
        )

    def _add(self, total: torch.Tensor, queries: Flattened, examples: Flattened) -> None:
        shape = (len(queries.columns), len(examples.columns))
        rows = self._workspace.take("rows", shape, total)  # [Q·S, b·S']
        columns = self._workspace.take("columns", shape, total)  # [Q·S, b·S']
        _multiply_rows(queries.rows, examples.rows, rows)
        multiplied(queries.columns, examples.columns.T, columns)
        if queries.bias is not None and examples.bias is not None:
            columns.addr_(queries.bias, examples.bias)
        if shape == tuple(total.shape):
            total.addcmul_(rows, columns)
            return
        products = rows.mul_(columns).view(
            queries.count, queries.positions, examples.count, examples.positions
        )
        total += products.sum((1, 3))  # [Q, b]


def _multiply_rows(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> None:
    """Multiply rows, of which ids have a single one in them: ``[n, m]``."""
    if left.ndim == 2 and right.ndim == 2:
        multiplied(left, right.T, out)
    elif left.ndim == 1 and right.ndim == 1:
        out.copy_(left[:, None] == right)
    elif left.ndim == 2:
        out.copy_(left[:, right])
    else:
        out.copy_(right[:, left].T)


def pair_shapes(source: FactorSource, unit: MatrixUnit, queries: int, size: int) -> list[Shape]:
    """Describe the work that the factors of B examples make, one for each kind of rows.

    Parameters
    ----------
    source
        The gradients of B examples.
    unit
        The matrix.
    queries
        Q.
    size
        Bytes of a number.
    """
    return [
        Shape(queries, own, unit.out_features, unit.in_features, size)
        for own in factor_shapes(source, unit)
    ]
