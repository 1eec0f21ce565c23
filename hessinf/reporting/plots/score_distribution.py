"""How scores are distributed: two bins for each doubling of the magnitude, by sign."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from hessinf.display.numbers import counted, measured, number
from hessinf.reporting.plots.errors import PlotError
from hessinf.reporting.plots.figures import GRID, QUIET, halo, new_figure, note
from hessinf.reporting.plots.line_styles import HARMFUL, HELPFUL
from hessinf.reporting.plots.sources import as_objects, directory_of, unknown
from hessinf.reporting.reported_run import read_reported_run
from hessinf.reporting.score_counts import SIGNS, ScoreCounts
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
    import torch
    from matplotlib.figure import Figure

    from hessinf.scores import score_histogram
else:
    np = lazy_import("numpy")
    torch = lazy_import("torch")
    score_histogram = lazy_import("hessinf.scores.score_histogram")

LEAST_BINS = 12
"""So many bins are on the axis at least: what is nearly the same stands close together."""

SIDES = (("negative", "harmful", HARMFUL), ("positive", "helpful", HELPFUL))


@dataclass
class _Counted:
    """Scores counted over queries; by sign, the magnitude of the last score of each list."""

    scores: ScoreCounts = field(default_factory=ScoreCounts)
    cuts: dict[str, list[float]] = field(default_factory=lambda: {sign: [] for sign in SIGNS})


def score_distribution(given: Any, *, query: int | str | None = None) -> Figure:
    """Draw how the scores of all training examples are distributed.

    Parameters
    ----------
    given
        A run directory of ``hessinf interpret``; what ``InfluenceInterpreter.interpret`` yields,
        one or several; or scores ``[Q, N]`` or ``[N]``, as an array or a tensor.
    query
        The place of one query, or its id; all queries together, as the mean over them, when None.

    Returns
    -------
    matplotlib.figure.Figure
        To the left the harmful training examples, to the right the helpful ones. A dashed line says
        where the list of the most helpful (harmful) ones ends; the median of the queries.

    Raises
    ------
    PlotError
        When there is no such query, or nobody has counted the scores: runs of earlier versions did
        not.
    """
    counted_scores = _counted_scores(given, query)
    scores = counted_scores.scores
    each = scores.total // scores.queries
    sides = [side for side in SIDES if scores.bins[side[0]]]
    with new_figure(max(4.0 * len(sides), 5.0), 3.6) as canvas:
        if sides:
            panels = canvas.subplots(1, len(sides), sharey=True, squeeze=False)[0]
            for axes, side in zip(panels, sides, strict=True):
                _draw(axes, counted_scores, side, each)
            panels[0].set_ylim(bottom=0)
            panels[0].set_ylabel(
                "training examples" if scores.queries == 1 else "training examples, mean"
            )
            canvas.supxlabel(
                "magnitude of the score, in units of the measurement\n(two bins for each doubling)",
                fontsize=9.0,
            )
        else:
            note(canvas.subplots(), "all scores are zero")
        shown = "1 query" if scores.queries == 1 else f"mean of {scores.queries:,} queries"
        zero = f"; {measured(scores.zeros / scores.queries)} of them zero" if scores.zeros else ""
        canvas.suptitle(
            f"Scores of {counted(each, 'training example')}, {shown}{zero}", fontsize=11.0
        )
    return canvas


def _ends(scores: ScoreCounts) -> tuple[int, int]:
    """Return the first and the last bin that the axis has room for."""
    first, last = scores.ends()
    wider = max(0, LEAST_BINS - (last - first + 1))
    return first - wider // 2, last + wider - wider // 2


def _draw(axes: Any, found: _Counted, side: tuple[str, str, str], each: int) -> None:
    """Draw the scores of one sign; the harmful ones grow to the left."""
    sign, title, color = side
    queries, all_bins = found.scores.queries, found.scores.bins[sign]
    first, last = _ends(found.scores)
    bins = {place: count for place, count in all_bins.items() if place >= first}
    total = sum(all_bins.values())
    smaller = total - sum(bins.values())
    axes.set_title(
        f"{title}: {measured(total / queries)} of {each:,}"
        + (f"\n({measured(smaller / queries)} too small to be shown)" if smaller else "")
    )
    places = np.array(sorted(bins))  # [b]
    heights = np.array([bins[place] for place in places.tolist()]) / queries  # [b]
    edges = 2.0 ** (places / 2)  # [b]
    axes.grid(axis="y", **GRID)
    axes.set_axisbelow(True)
    axes.bar(
        edges, heights, width=edges * (2**0.5 - 1), align="edge", color=color, edgecolor="white",
        linewidth=0.4,
    )  # fmt: skip
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_xscale("log")
    ends = 2.0 ** (first / 2), 2.0 ** ((last + 2) / 2)
    axes.set_xlim(*(ends if sign == "positive" else ends[::-1]))
    if found.cuts[sign]:
        cut = median(found.cuts[sign])
        axes.axvline(cut, color=QUIET, linestyle="--", linewidth=1.0)
        text = axes.annotate(
            f"end of the list\n{number(cut)}",
            (cut, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if sign == "positive" else 4, -2),
            textcoords="offset points",
            ha="right" if sign == "positive" else "left",
            va="top",
            color=QUIET,
            fontsize=8.0,
        )
        text.set_path_effects(halo())


def _counted_scores(given: Any, query: int | str | None) -> _Counted:
    """Add up the histograms of the queries that are asked for."""
    folder = directory_of(given)
    if folder is not None:
        return _of_lines(read_reported_run(folder).interpretations, query, str(folder))
    lines = as_objects(given)
    if lines is not None:
        return _of_lines(lines, query, "what was given")
    try:
        scores = torch.as_tensor(np.asarray(given)).double()
    except (TypeError, ValueError) as error:
        raise unknown("score_distribution", "a run, interpretations or scores", given) from error
    return _of_scores(scores[None] if scores.ndim == 1 else scores, query)


def _of_lines(lines: Iterable[Mapping[str, Any]], query: int | str | None, where: str) -> _Counted:
    counts = _Counted()
    seen = 0
    for place, line in enumerate(lines):
        seen += 1
        if query is not None and query not in (place, line["query"]["id"]):
            continue
        if line.get("scores") is None:
            raise PlotError(
                f'{where} does not say how the scores of query "{line["query"]["id"]}" are '
                "distributed: it is of an earlier version; interpret again, or give the scores "
                "[Q, N] themselves"
            )
        counts.scores.add(line["scores"])
        for side, name, sign in (("positive", "helpful", 1), ("negative", "harmful", -1)):
            last = line[name][-1]["score"] if line[name] else 0.0
            if sign * last > 0 and len(line[name]) < line["scores"]["count"]:
                counts.cuts[side].append(sign * last)
    if not counts.scores.queries:
        raise _no_query(query, seen, where)
    return counts


def _of_scores(scores: torch.Tensor, query: int | str | None) -> _Counted:
    if scores.ndim != 2 or 0 in scores.shape:
        raise PlotError(f"expected scores [Q, N], found the shape {list(scores.shape)}")
    if not bool(torch.isfinite(scores).all()):
        raise PlotError("scores are not all finite")
    if query is not None:
        if not isinstance(query, int) or not 0 <= query < len(scores):
            raise _no_query(query, len(scores), "what was given")
        scores = scores[query : query + 1]  # [1, N]
    distribution = score_histogram.ScoreDistribution(len(scores))
    distribution.add(scores)
    counts = _Counted()
    for described in distribution.to_json():
        counts.scores.add(described)
    return counts


def _no_query(query: int | str | None, seen: int, where: str) -> PlotError:
    if query is None:
        return PlotError(f"{where} has no queries")
    return PlotError(f"{where} has no query {query!r}, it has {counted(seen, 'query', 'queries')}")
