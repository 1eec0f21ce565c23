"""Quality beside cost: which methods no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hessinf.evaluation.result_rows import better_words
from hessinf.reporting.comparison_costs import KINDS, cost_points
from hessinf.reporting.label_places import Box, along, label_places
from hessinf.reporting.pareto_plot import Point, pareto_front
from hessinf.reporting.plots.compared import chosen_metric, compared, judged
from hessinf.reporting.plots.errors import PlotError
from hessinf.reporting.plots.figures import GRID, QUIET, halo, new_figure, plain
from hessinf.reporting.plots.line_styles import HELPFUL, PLAIN
from hessinf.reporting.svg_axes import logarithmic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = 32
"""Characters of a name."""

GAP = 7.0
"""Points from a mark to its name."""

FONT = 8.0


def pareto(given: Any, *, cost: str = "seconds", metric: str | None = None) -> Figure:
    """Draw the quality of methods beside what they cost.

    Parameters
    ----------
    given
        A run directory of ``hessinf compare``, or what ``compare()`` returned.
    cost
        "seconds" to fit and to score, or peak "memory".
    metric
        The name of a metric; the first when None.

    Returns
    -------
    matplotlib.figure.Figure
        Colored, with a dashed line: the methods that no other beats in both.

    Raises
    ------
    PlotError
        When nothing was evaluated, or no cost was measured.
    ValueError
        When ``cost`` is neither.
    """
    if cost not in KINDS:
        raise ValueError(f'cost is "seconds" or "memory", found {cost!r}')
    comparison, costs = compared(given, "pareto")
    name, results = chosen_metric(judged(comparison, "pareto"), metric)
    points = cost_points(results, costs, cost)
    if not points:
        raise PlotError(f'no row has both a value of "{name}" and a measured cost')
    front = pareto_front(points, higher_is_better=results["higher_is_better"])
    with new_figure(6.8, 4.2) as canvas:
        axes = canvas.subplots()
        axes.grid(**GRID)
        axes.set_axisbelow(True)
        for point in points:
            color = HELPFUL if point in front else PLAIN
            if point.interval:
                axes.vlines(point.cost, *point.interval, color=color, linewidth=1.0, alpha=0.7)
            axes.plot(point.cost, point.quality, marker="o", markersize=6, color=color)
        axes.plot(
            [point.cost for point in front], [point.quality for point in front], color=HELPFUL,
            linewidth=1.0, linestyle="--", zorder=1,
        )  # fmt: skip
        scale = logarithmic(*_ends([point.cost for point in points]), 0.0, 1.0)
        axes.set_xscale("log")
        axes.set_xlim(10.0**scale.first, 10.0**scale.last)
        ticks = scale.ticks()
        axes.set_xticks([value for value, _ in ticks], [text for _, text in ticks])
        axes.set_xticks([], minor=True)
        _widen(axes, points)
        axes.set_xlabel(KINDS[cost].axis)
        axes.set_ylabel(f"{plain(name, NAME)} ({better_words(results)})")
        _name(canvas, axes, points, front)
    return canvas


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _widen(axes: Any, points: Sequence[Point]) -> None:
    """Where all are the same, leave room around."""
    low, high = axes.get_ylim()
    values = [end for point in points for end in (point.interval or (point.quality,))]
    if max(values) - min(values) < 1e-9:
        axes.set_ylim(min(low, values[0] - 0.5), max(high, values[0] + 0.5))


def _mark(axes: Any, point: Point) -> tuple[float, float]:
    """Return where a point lies, in pixels; y grows upwards."""
    x, y = axes.transData.transform((point.cost, point.quality)).tolist()
    return x, y


def _name(canvas: Any, axes: Any, points: Sequence[Point], front: Sequence[Point]) -> None:
    """Write the names where they do not lie on each other, the best first."""
    # The places are known once the panel has its size: it keeps it from here on.
    canvas.get_layout_engine().execute(canvas)
    canvas.set_layout_engine("none")
    pixels = canvas.dpi / 72.0  # for each point of type
    texts = [
        axes.annotate(
            plain(point.name, NAME), (point.cost, point.quality), (0, 0),
            textcoords="offset points", fontsize=FONT, va="center", annotation_clip=False,
            path_effects=halo(),
        )
        for point in points
    ]  # fmt: skip
    # y grows downwards where names are placed.
    marks = [_mark(axes, point) for point in points]
    best = [(x, -y) for x, y in (_mark(axes, point) for point in front)]
    lines = along(best, 1.35 * FONT * pixels)
    for point in points:
        if point.interval:
            x, low = axes.transData.transform((point.cost, point.interval[0]))
            high = axes.transData.transform((point.cost, point.interval[1]))[1]
            lines.append(Box(x - 1, -high, x + 1, -low))
    area = axes.get_window_extent()
    places = label_places(
        [(x, -y) for x, y in marks],
        [text.get_window_extent().width + 2 for text in texts],
        height=1.35 * FONT * pixels,
        gap=GAP * pixels,
        inside=Box(area.x0, -area.y1, canvas.bbox.width, -area.y0),
        lines=lines,
    )
    for text, place, (x, y) in zip(texts, places, marks, strict=True):
        middle = -(place.box.top + place.box.bottom) / 2
        text.set_position(((place.box.left - x) / pixels, (middle - y) / pixels))
        if place.far:
            end_x, end_y = place.nearest(x, -y)
            start, stop = axes.transData.inverted().transform([(x, y), (end_x, -end_y)])
            axes.plot(
                [start[0], stop[0]], [start[1], stop[1]], color=QUIET, linewidth=0.7,
                linestyle=":", scalex=False, scaley=False, clip_on=False,
            )  # fmt: skip
