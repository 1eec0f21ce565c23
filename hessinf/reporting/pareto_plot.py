"""A plot of quality beside cost, as SVG that stands in a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hessinf.display.html_text import Html, escaped, with_minus
from hessinf.display.numbers import number
from hessinf.reporting.label_places import Box, LabelPlace, along, label_places
from hessinf.reporting.short_names import short_name
from hessinf.reporting.svg_axes import Frame, drawing, linear, logarithmic

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 60, 40, 30, 50
LINE_HEIGHT = 15
CHARACTER = 7.5
"""What a letter takes of a line, in the units of the plot; most are narrower."""
BESIDE = 9
"""From a point to its name."""
RADIUS = 5


@dataclass(frozen=True)
class Point:
    """What one row costs, and how good it is.

    Parameters
    ----------
    name
        What stands beside the point.
    cost
        Greater than 0: seconds, or memory.
    quality
        The more the better, unless the plot says otherwise.
    interval
        Of the quality; None where it is not known.
    """

    name: str
    cost: float
    quality: float
    interval: tuple[float, float] | None = None


def pareto_front(points: Sequence[Point], *, higher_is_better: bool = True) -> list[Point]:
    """Return the points that no other beats in both, the cheapest first.

    Of points that are equal in both, all are kept.

    Parameters
    ----------
    points
        In any order.
    higher_is_better
        Whether a larger quality is the better one.
    """
    sign = 1 if higher_is_better else -1
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -sign * point.quality)):
        last = front[-1] if front else None
        if (
            last is None
            or sign * point.quality > sign * last.quality
            or ((point.cost, point.quality) == (last.cost, last.quality))
        ):
            front.append(point)
    return front


def pareto_plot(
    points: Sequence[Point],
    *,
    cost: str,
    quality: str,
    unit: str = "s",
    higher_is_better: bool = True,
) -> Html:
    """Draw points, their intervals, and the front: cost to the right, in powers of ten.

    Parameters
    ----------
    points
        One or more.
    cost, quality
        What stands at the axes.
    unit
        Of the cost, behind its number.
    higher_is_better
        Whether the good ones lie at the top; else, the axis stays as it is and they lie below.

    Returns
    -------
    Html
        An ``<svg>`` element that takes its colors from the page.
    """
    costs = [point.cost for point in points]
    lows = [point.interval[0] if point.interval else point.quality for point in points]
    highs = [point.interval[1] if point.interval else point.quality for point in points]
    frame = Frame(
        across=logarithmic(min(costs), max(costs), LEFT, WIDTH - RIGHT),
        down=linear(min(lows), max(highs), HEIGHT - BOTTOM, TOP),
        x=cost,
        y=quality,
    )
    front = pareto_front(points, higher_is_better=higher_is_better)
    parts = frame.grid()
    if len(front) > 1:
        path = frame.path((one.cost, one.quality) for one in front)
        parts.append(f'<polyline class="front" points="{path}"/>')
    for point in points:
        if point.interval:
            x = f"{frame.across(point.cost):.1f}"
            ends = [f"{frame.down(value):.1f}" for value in point.interval]
            parts.append(
                f'<line class="interval" x1="{x}" x2="{x}" y1="{ends[0]}" y2="{ends[1]}"/>'
            )
    places = _places(points, front, frame)
    pairs = list(zip(points, places, strict=True))
    parts += [_lead(point, place, frame) for point, place in pairs if place.far]
    for point, place in pairs:
        best = " best" if point in front else ""
        parts.append(
            f'<circle class="point{best}" cx="{frame.across(point.cost):.1f}" '
            f'cy="{frame.down(point.quality):.1f}" r="{RADIUS}"><title>{escaped(point.name)}: '
            f"{with_minus(number(point.quality))}, {number(point.cost)} {escaped(unit)}</title>"
            "</circle>"
            f'<text x="{place.box.left:.1f}" y="{(place.box.top + place.box.bottom) / 2:.1f}" '
            f'dy=".35em">{escaped(short_name(point.name))}</text>'
        )
    return drawing(WIDTH, HEIGHT, f"{quality} beside {cost}", parts)


def _places(points: Sequence[Point], front: Sequence[Point], frame: Frame) -> list[LabelPlace]:
    """Place the names: those of the best points first, nearest to them."""
    lines = along(
        [(frame.across(point.cost), frame.down(point.quality)) for point in front], LINE_HEIGHT
    )
    for point in points:
        if point.interval:
            x = frame.across(point.cost)
            low, high = (frame.down(value) for value in point.interval)
            lines.append(Box(x - 1, min(low, high), x + 1, max(low, high)))
    return label_places(
        [(frame.across(point.cost), frame.down(point.quality)) for point in points],
        [CHARACTER * len(short_name(point.name)) for point in points],
        height=LINE_HEIGHT,
        gap=BESIDE,
        inside=Box(LEFT, TOP, WIDTH, HEIGHT - BOTTOM),
        lines=lines,
    )


def _lead(point: Point, place: LabelPlace, frame: Frame) -> str:
    """Draw a line from a point to its name, which stands further away."""
    x, y = frame.across(point.cost), frame.down(point.quality)
    end_x, end_y = place.nearest(x, y)
    return f'<line class="lead" x1="{x:.1f}" y1="{y:.1f}" x2="{end_x:.1f}" y2="{end_y:.1f}"/>'
