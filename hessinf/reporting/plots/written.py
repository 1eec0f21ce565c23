"""All plots of a run, as files beside its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.reporting.comparison_costs import KINDS, cost_points, metrics_of
from hessinf.reporting.plots.agreement import agreement
from hessinf.reporting.plots.compared import compared
from hessinf.reporting.plots.errors import PlotError
from hessinf.reporting.plots.figures import write_figure
from hessinf.reporting.plots.pareto import pareto
from hessinf.reporting.plots.quality import quality
from hessinf.reporting.plots.score_distribution import score_distribution
from hessinf.reporting.plots.self_influence import self_influence
from hessinf.reporting.plots.sources import directory_of
from hessinf.reporting.plots.spectrum import spectrum
from hessinf.reporting.reported_run import read_reported_run
from hessinf.runtime.run_files import COMPARISON, EVALUATION, PLOTS, SELF_INFLUENCE, SPECTRUM

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Plot = tuple[str, Callable[[], "Figure"]]
"""The name of a file, and what draws it."""


def write_plots(given: Any) -> list[Path]:
    """Draw everything of a run, and write it to its folder ``plots``, as PNG and SVG.

    Parameters
    ----------
    given
        A run directory of ``hessinf interpret``, ``self-influence``, ``evaluate`` or ``compare``,
        or what their functions return. (``hessinf analyze`` writes its own.)

    Returns
    -------
    list of Path
        The files; the same run gives the same bytes.

    Raises
    ------
    PlotError
        When matplotlib is not installed, or there is nothing to draw.
    """
    folder = directory_of(given)
    if folder is None:
        raise PlotError(f"expected the directory of a run, found {type(given).__name__}")
    plots = list(_plots_of(folder))
    if not plots:
        raise PlotError(f"{folder} has nothing to draw")
    (folder / PLOTS).mkdir(exist_ok=True)
    return [file for name, draw in plots for file in write_figure(draw(), folder / PLOTS / name)]


def _plots_of(folder: Path) -> Iterator[Plot]:
    if (folder / COMPARISON).exists():
        yield from _of_comparison(folder)
    elif (folder / EVALUATION).exists():
        yield "quality", partial(quality, folder)
    else:
        yield from _of_interpretations(folder)


def _of_comparison(folder: Path) -> Iterator[Plot]:
    comparison, costs = compared(folder, "write_plots")
    yield "agreement", partial(agreement, folder)
    metrics = metrics_of(comparison)
    if metrics:
        yield "quality", partial(quality, folder)
    for place, (name, metric) in enumerate(metrics.items()):
        for kind in KINDS:
            if cost_points(metric, costs, kind):
                # The first metric's file has a name that one knows beforehand.
                which = f"_{place + 1}" if place else ""
                yield f"pareto_{kind}{which}", partial(pareto, folder, cost=kind, metric=name)


def _of_interpretations(folder: Path) -> Iterator[Plot]:
    first = next(iter(read_reported_run(folder).interpretations), None)
    if first is not None and first.get("scores") is not None:
        yield "score_distribution", partial(score_distribution, folder)
    if (folder / SELF_INFLUENCE).exists():
        yield "self_influence", partial(self_influence, folder)
    if (folder / SPECTRUM).exists():
        yield "spectrum", partial(spectrum, folder)
