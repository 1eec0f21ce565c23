"""A plot of quality beside cost, as SVG that stands in a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 60, 150, 20, 50
LINE_HEIGHT = 15
CHARACTER = 7.5
"""What a letter takes of a line, in the units of the plot; most are narrower."""
BESIDE = 9
"""From a point to its name."""
TICKS = 5

LEAST_DECADES = 1.0
"""Powers of ten that the axis of costs spans at least: there is always a round number on it."""


@dataclass(frozen=True)
class Point:
    """What one row costs, and how good it is.

    Parameters
    ----------
    name
        What stands beside the point.
    cost
        Seconds, greater than 0.
    quality
        The more the better.
    interval
        Of the quality; None where it is not known.
    """

    name: str
    cost: float
    quality: float
    interval: tuple[float, float] | None = None


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other beats in both, the cheapest first.

    Of points that are equal in both, all are kept.
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.quality)):
        last = front[-1] if front else None
        if (
            last is None
            or point.quality > last.quality
            or ((point.cost, point.quality) == (last.cost, last.quality))
        ):
            front.append(point)
    return front


def pareto_plot(points: Sequence[Point], *, cost: str, quality: str) -> str:
    """Draw points, their intervals, and the front: cost to the right, in powers of ten.

    Parameters
    ----------
    points
        One or more.
    cost, quality
        What stands at the axes.

    Returns
    -------
    str
        An ``<svg>`` element that takes its colors from the page.
    """
    lows = [point.interval[0] if point.interval else point.quality for point in points]
    highs = [point.interval[1] if point.interval else point.quality for point in points]
    bottom, top = _widened(min(lows), max(highs))
    decades = [math.log10(point.cost) for point in points]
    first, last = _widened(min(decades), max(decades))
    # What costs nearly the same stands close together, whatever the others cost.
    short = max(LEAST_DECADES - (last - first), 0.0)
    first, last = first - short / 2, last + short / 2

    def across(seconds: float) -> float:
        share = (math.log10(seconds) - first) / (last - first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def down(value: float) -> float:
        return TOP + (top - value) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    front = pareto_front(points)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(quality)} beside '
        f'{escape(cost)}">'
    ]
    for value in _round_values(bottom, top):
        y = f"{down(value):.1f}"
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
            f'<text class="quiet" x="{LEFT - 8}" y="{y}" text-anchor="end" dy=".35em">'
            f"{value:g}</text>"
        )
    for seconds in _round_seconds(first, last):
        x = f"{across(seconds):.1f}"
        parts.append(
            f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="quiet" x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{seconds:g}</text>"
        )
    parts.append(
        f'<text class="quiet" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 8}" '
        f'text-anchor="middle">{escape(cost)}</text>'
        f'<text class="quiet" x="{LEFT}" y="{TOP - 6}">{escape(quality)}</text>'
    )
    if len(front) > 1:
        path = " ".join(f"{across(one.cost):.1f},{down(one.quality):.1f}" for one in front)
        parts.append(f'<polyline class="front" points="{path}"/>')
    labels = _spread([down(point.quality) for point in points])
    for point, label in zip(points, labels, strict=True):
        x, y = f"{across(point.cost):.1f}", f"{down(point.quality):.1f}"
        if point.interval:
            ends = [f"{down(value):.1f}" for value in point.interval]
            parts.append(
                f'<line class="interval" x1="{x}" x2="{x}" y1="{ends[0]}" y2="{ends[1]}"/>'
            )
        best = " best" if point in front else ""
        parts.append(
            f'<circle class="point{best}" cx="{x}" cy="{y}" r="5"><title>{escape(point.name)}: '
            f"{point.quality:.3f}, {point.cost:.3g} s</title></circle>"
            f"{_label(point.name, float(x), label)}"
        )
    return "\n".join([*parts, "</svg>"])


def _label(name: str, x: float, y: float) -> str:
    """Write a name beside its point: to the right, or where it fits on the left alone, there."""
    right, left = (int((room - BESIDE) / CHARACTER) for room in (WIDTH - x, x))
    if len(name) <= right or right >= left:
        place, anchor, fitting = x + BESIDE, "", right
    else:
        place, anchor, fitting = x - BESIDE, ' text-anchor="end"', left
    shown = name if len(name) <= fitting else f"{name[: fitting - 1]}…"
    return f'<text x="{place:.1f}" y="{y:.1f}" dy=".35em"{anchor}>{escape(shown)}</text>'


def _widened(low: float, high: float) -> tuple[float, float]:
    """Leave a margin at both ends, also where they are the same."""
    margin = 0.08 * (high - low) or 0.5
    return low - margin, high + margin


def _round_values(low: float, high: float) -> list[float]:
    """Choose round numbers between two others."""
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    count = range(math.ceil(low / step), math.floor(high / step) + 1)
    return [round(place * step, 10) for place in count]


def _round_seconds(first: float, last: float) -> list[float]:
    """Choose 1, 2 and 5 times powers of ten, or the powers alone where there are many."""
    powers = range(math.floor(first), math.ceil(last) + 1)
    factors = (1, 2, 5) if last - first < 2 else (1,)
    values = [factor * 10.0**power for power in powers for factor in factors]
    return [value for value in values if first <= math.log10(value) <= last]


def _spread(heights: Sequence[float]) -> list[float]:
    """Move labels down where they would lie on each other, keeping their order."""
    placed = [0.0] * len(heights)
    previous = -math.inf
    for place in sorted(range(len(heights)), key=heights.__getitem__):
        previous = max(heights[place], previous + LINE_HEIGHT)
        placed[place] = previous
    return placed
