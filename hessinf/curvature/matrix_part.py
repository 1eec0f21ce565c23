"""``MatrixPart``: the columns of a layer's matrix that lie in a block, and where they lie there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from hessinf.curvature.errors import CurvatureError
from hessinf.gradients.layers import MatrixUnit


@dataclass(frozen=True)
class Run:
    """Columns whose entries lie evenly spaced: (o, i) at ``start + o·row_step + i·column_step``.

    Parameters
    ----------
    columns
        Which of the part's.
    start, row_step, column_step
        Where their entries lie.
    """

    columns: slice
    start: int
    row_step: int
    column_step: int


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

    @property
    def height(self) -> int:
        """O."""
        return self.places.shape[0]

    @property
    def width(self) -> int:
        """I', how many columns there are."""
        return self.places.shape[1]

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The columns in evenly spaced runs: those of the weight, and that of the bias.

        Raises
        ------
        CurvatureError
            When the entries do not lie so.
        """
        weights = self.unit.in_features - (self.unit.bias is not None)
        border = min(max(weights - self.columns.start, 0), self.width)
        spans = (slice(0, border), slice(border, self.width))
        return tuple(self._run(span) for span in spans if span.stop > span.start)

    def _run(self, columns: slice) -> Run:
        places = self.places[:, columns].cpu()  # [O, I'']
        start = int(places[0, 0])
        row_step = int(places[1, 0]) - start if len(places) > 1 else 1
        column_step = int(places[0, 1]) - start if places.shape[1] > 1 else 1
        across = torch.arange(places.shape[1]) * column_step
        expected = start + torch.arange(len(places))[:, None] * row_step + across
        if not torch.equal(places, expected):
            raise CurvatureError(
                f'the entries of "{self.unit.name}" do not lie evenly spaced among the parameters'
            )
        return Run(columns, start, row_step, column_step)


def matrix_part(unit: MatrixUnit, places: torch.Tensor, one_position: bool) -> MatrixPart | None:
    """Cut out of a matrix what lies in a block.

    Parameters
    ----------
    unit
        The matrix.
    places
        Where its entries lie, ``[O, I]``; -1 for those in no place of the block.
    one_position
        Whether the layer is used at one position of each example.

    Returns
    -------
    MatrixPart or None
        None when nothing lies in the block.
    """
    width = places.shape[1]
    weights = width - (unit.bias is not None)
    has_weight = weights > 0 and bool((places[:, :weights] >= 0).all())
    has_bias = weights < width and bool((places[:, weights:] >= 0).all())
    if not has_weight and not has_bias:
        return None
    columns = slice(0 if has_weight else weights, width if has_bias else weights)
    return MatrixPart(unit, columns, places[:, columns], one_position)
