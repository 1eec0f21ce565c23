"""What metrics say of attributions, with their intervals, the best first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hessinf.evaluation.baselines import NAMES
from hessinf.evaluation.result_rows import better_words, interval_of, number_of, ranked_rows
from hessinf.reporting.plots.compared import chosen_metric, judged
from hessinf.reporting.plots.figures import GRID, QUIET, new_figure, note, plain
from hessinf.reporting.plots.line_styles import BACK, HELPFUL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = 40
"""Characters of a name."""

ROW = 0.28
"""Inches that a row takes."""


def quality(given: Any, *, metric: str | None = None) -> Figure:
    """Draw what a metric says of each row, with its 95 % interval where it has one.

    Parameters
    ----------
    given
        A run directory of ``hessinf evaluate`` or ``hessinf compare``, what ``evaluate()`` or
        ``compare()`` returned, or what their files say.
    metric
        The name of one metric; all of them, below each other, when None.

    Returns
    -------
    matplotlib.figure.Figure
        Hollow: baselines, which know nothing of the model's curvature.

    Raises
    ------
    PlotError
        When nothing was evaluated, or there is no such metric.
    """
    metrics = judged(given, "quality")
    if metric is not None:
        name, results = chosen_metric(metrics, metric)
        metrics = {name: results}
    heights = [ROW * max(len(one["rows"]), 1) + 0.9 for one in metrics.values()]
    with new_figure(6.8, sum(heights) + 0.2) as canvas:
        panels = canvas.subplots(len(metrics), 1, squeeze=False, height_ratios=heights)
        for axes, (name, results) in zip(panels[:, 0], metrics.items(), strict=True):
            _panel(axes, name, results)
    return canvas


def _panel(axes: Any, name: str, metric: Mapping[str, Any]) -> None:
    rows = ranked_rows(metric)
    if not rows:
        note(axes, "no row was judged")
        return
    axes.grid(axis="x", **GRID)
    axes.set_axisbelow(True)
    labels, ends = [], []
    for place, (row, summary) in enumerate(rows):
        value = number_of(summary.get("value"))
        baseline = row in NAMES
        said = ["baseline"] * baseline + ["undefined"] * (value is None)
        labels.append(plain(row, NAME) + (f" ({', '.join(said)})" if said else ""))
        if value is None:
            continue
        color = BACK if baseline else HELPFUL
        interval = interval_of(summary)
        ends += [value, *(interval or ())]
        if interval:
            axes.hlines(place, *interval, color=color, linewidth=1.6)
        axes.plot(
            value, place, marker="o", markersize=6, markeredgecolor=color,
            markerfacecolor="white" if baseline else color,
        )  # fmt: skip
    if ends and min(ends) - (span := max(ends) - min(ends)) <= 0 <= max(ends) + span:
        axes.axvline(0.0, color=QUIET, linewidth=0.8)
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    with_intervals = any(interval_of(summary) for _, summary in rows)
    axes.set_xlabel(
        f"{plain(name, NAME)}{', 95 % interval' if with_intervals else ''} ({better_words(metric)})"
    )
