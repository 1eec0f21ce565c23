"""Where names of points stand in a plot: beside them, and not on each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

DIRECTIONS = ((1, 0), (-1, 0), (1, -1), (1, 1), (-1, -1), (-1, 1), (0, -1), (0, 1))
"""From a point to its name: the ones that are preferred first; y grows downwards."""

RINGS = 14
"""How many lines away from its point a name may stand, where there is no room nearer."""

ON_A_NAME, ON_A_POINT, ON_A_LINE, OUTSIDE, AWAY = 50.0, 10.0, 2.0, 1_000.0, 3.0
"""What a place costs: by area in lines of text squared, by point, by line, by overhang, by ring."""


@dataclass(frozen=True)
class Box:
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def shared(self, other: Box) -> float:
        """Return the area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)

    def beyond(self, other: Box) -> float:
        """Return how far it reaches out of another."""
        return (
            max(other.left - self.left, 0.0)
            + max(self.right - other.right, 0.0)
            + max(other.top - self.top, 0.0)
            + max(self.bottom - other.bottom, 0.0)
        )


@dataclass(frozen=True)
class LabelPlace:
    """Where a name stands.

    Parameters
    ----------
    box
        What it covers.
    far
        Whether a line should lead from the point to it.
    """

    box: Box
    far: bool

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Return where on its edge, or in it, a line from a point ends."""
        box = self.box
        return min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)


def along(points: Sequence[tuple[float, float]], step: float) -> list[Box]:
    """Cover a line through points with small boxes, ``step`` apart."""
    boxes = []
    for (x, y), (next_x, next_y) in itertools.pairwise(points):
        count = max(1, math.ceil(math.hypot(next_x - x, next_y - y) / step))
        for place in range(count + 1):
            at_x = x + (next_x - x) * place / count
            at_y = y + (next_y - y) * place / count
            boxes.append(Box(at_x - 1, at_y - 1, at_x + 1, at_y + 1))
    return boxes


def label_places(
    points: Sequence[tuple[float, float]],
    widths: Sequence[float],
    *,
    height: float,
    gap: float,
    inside: Box,
    lines: Sequence[Box] = (),
) -> list[LabelPlace]:
    """Choose a place for each name, one after another: the cheapest that is left.

    Parameters
    ----------
    points
        Where the points lie; y grows downwards. Names of the first ones stand nearest.
    widths
        What each name takes.
    height
        Of a line of text.
    gap
        From a point to its name.
    inside
        What names should not leave.
    lines
        What is better not covered, such as intervals.

    Returns
    -------
    list of LabelPlace
        In the order of the points.
    """
    marks = [Box(x - gap / 2, y - gap / 2, x + gap / 2, y + gap / 2) for x, y in points]
    chosen: list[LabelPlace] = []
    for point, width in zip(points, widths, strict=True):
        taken = [place.box for place in chosen]

        def cost(offered: tuple[int, int, Box], taken: Sequence[Box] = taken) -> float:
            ring, preference, box = offered
            return (
                ON_A_NAME * sum(map(box.shared, taken)) / height**2
                + ON_A_POINT * sum(box.shared(mark) > 0 for mark in marks)
                + ON_A_LINE * sum(box.shared(line) > 0 for line in lines)
                + OUTSIDE * box.beyond(inside) / height
                + AWAY * ring
                + 0.1 * preference
            )

        ring, _, box = min(_offers(point, width, height, gap), key=cost)
        chosen.append(LabelPlace(box, far=ring > 0))
    return chosen


def _offers(
    point: tuple[float, float], width: float, height: float, gap: float
) -> Iterator[tuple[int, int, Box]]:
    x, y = point
    for ring in range(RINGS + 1):
        for preference, (right, down) in enumerate(DIRECTIONS):
            # Straight to the side, one is as near as can be; others leave room for the point.
            distance = gap + ring * height
            shift = distance / math.hypot(right, down)
            middle = y + down * (shift + height / 2 if down else 0.0)
            left = {1: x + shift, -1: x - shift - width, 0: x - width / 2}[right]
            yield (
                ring,
                preference,
                Box(left, middle - height / 2, left + width, middle + height / 2),
            )
