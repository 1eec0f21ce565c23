"""Self-influence by rank, and how soon changed labels are found by looking at the largest first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hessinf.display.numbers import counted
from hessinf.reporting.plots.errors import PlotError
from hessinf.reporting.plots.figures import GRID, QUIET, new_figure, note, plain
from hessinf.reporting.plots.line_styles import BACK, MARKED, PLAIN
from hessinf.reporting.plots.sources import directory_of, unknown
from hessinf.reporting.ranked_lines import ranked_lines
from hessinf.reporting.reported_run import read_object
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.run_files import METRICS, SELF_INFLUENCE

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
else:
    np = lazy_import("numpy")

FIRST = 20
"""How many of the largest are counted."""

FEW = 200
"""Up to so many examples are drawn as points."""

REASON = 160
"""Characters of the reason why self-influence was not computed."""

DECADES = 7
"""How many powers of ten below the largest value are shown."""


@dataclass(frozen=True)
class _Ranking:
    """Values ``[N]``, the largest first; which of them were changed ``[N]``, or None."""

    values: np.ndarray
    changed: np.ndarray | None
    name: str
    why: str = ""


def self_influence(given: Any, *, flipped: Iterable[int] | None = None) -> Figure:
    """Draw the self-influence of training examples, the largest first.

    Parameters
    ----------
    given
        A run directory with ``self_influence.jsonl``, or numbers ``[N]``.
    flipped
        The indices of examples whose label was changed on purpose; those that the run knows when
        None. A second panel says how many of them one finds among the first ones.

    Returns
    -------
    matplotlib.figure.Figure
        Where the run could not compute self-influence, the training loss takes its place.

    Raises
    ------
    PlotError
        When there is nothing of that kind.
    """
    ranking = _ranking(given, None if flipped is None else list(flipped))
    marked = ranking.changed is not None and bool(ranking.changed.any())
    with new_figure(8.0 if marked else 5.2, 3.6) as canvas:
        panels = canvas.subplots(1, 2) if marked else [canvas.subplots()]
        _by_rank(panels[0], ranking)
        if marked:
            _found(panels[1], ranking.changed)
        if ranking.why:
            canvas.suptitle(plain(ranking.why, REASON), fontsize=9.0, color=QUIET, wrap=True)
    return canvas


def _by_rank(axes: Any, ranking: _Ranking) -> None:
    values, changed = ranking.values, ranking.changed
    ranks = np.arange(1, len(values) + 1)  # [N]
    positive = values > 0
    axes.grid(**GRID)
    axes.set_axisbelow(True)
    logarithmic = bool(positive.any())
    drawn = positive if logarithmic else np.ones(len(values), dtype=bool)
    axes.plot(
        ranks[drawn], values[drawn], color=PLAIN, linewidth=1.4,
        marker="." if len(values) <= FEW else "", label="all training examples",
    )  # fmt: skip
    if changed is not None and changed.any():
        axes.plot(
            ranks[drawn & changed], values[drawn & changed], linestyle="", marker="o",
            markersize=5, markerfacecolor="none", markeredgecolor=MARKED, markeredgewidth=1.2,
            label="label changed on purpose",
        )  # fmt: skip
        axes.legend(fontsize=8.0, loc="lower left")
    if logarithmic:
        axes.set_yscale("log")
        floor = float(values.max()) * 10.0**-DECADES
        if float(values[drawn].min()) < floor:
            axes.set_ylim(bottom=floor)
    left_out = int(len(values) - drawn.sum())
    if len(values) > FIRST:
        axes.set_xscale("log")
    else:
        axes.set_xlim(0.5, len(values) + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_title(
        f"{counted(len(values), 'training example')}"
        + (f", {left_out:,} without a positive value" if left_out else "")
    )
    axes.set_xlabel("rank, the largest first")
    axes.set_ylabel(ranking.name)


def _found(axes: Any, changed: np.ndarray | None) -> None:
    """Draw the share of changed labels among the first n, over n."""
    if changed is None:
        note(axes, "nobody knows which labels were changed")
        return
    looked = np.arange(1, len(changed) + 1)  # [N]
    found = np.cumsum(changed)  # [N]
    total = int(found[-1])
    axes.grid(**GRID)
    axes.set_axisbelow(True)
    axes.plot(looked, 100 * found / total, color=MARKED, linewidth=1.6, label="in this order")
    axes.plot(
        looked, 100 * np.minimum(looked / total, 1), color=PLAIN, linestyle=":", linewidth=1.2,
        label="changed ones first",
    )  # fmt: skip
    axes.plot(
        looked, 100 * looked / len(changed), color=BACK, linestyle="--", linewidth=1.2,
        label="by chance",
    )  # fmt: skip
    axes.set_ylim(0, 104)
    if len(changed) > FIRST:
        axes.set_xscale("log")
    axes.legend(fontsize=8.0, loc="best")
    first = min(FIRST, len(changed))
    axes.set_title(f"{int(found[first - 1])} of the first {first} were changed on purpose")
    axes.set_xlabel("training examples looked at, the largest first")
    axes.set_ylabel("changed labels found, %")


def _ranking(given: Any, flipped: list[int] | None) -> _Ranking:
    folder = directory_of(given)
    if folder is None:
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise unknown("self_influence", "a run or numbers [N]", given) from error
        if values.ndim != 1 or not len(values):
            raise PlotError(f"expected numbers [N], found the shape {list(values.shape)}")
        order = np.argsort(-values, kind="stable")  # [N]
        return _Ranking(values[order], _marks(order, flipped), "self-influence")
    file = folder / SELF_INFLUENCE
    if not file.exists():
        raise PlotError(
            f"{folder} has no {SELF_INFLUENCE}; hessinf self-influence writes it, and hessinf "
            "interpret"
        )
    lines = list(ranked_lines(file))
    if not lines:
        raise PlotError(f"{file} is empty")
    metrics = read_object(folder / METRICS)
    if flipped is None:
        flipped = metrics.get("flipped_labels")
    computed = all(line["self_influence"] is not None for line in lines)
    values = np.array([line["self_influence" if computed else "loss"] for line in lines])  # [N]
    why = ""
    if not computed:
        reason = (metrics.get("self_influence") or {}).get("reason", "")
        why = f"Self-influence was not computed{': ' if reason else ''}{reason}"
    return _Ranking(
        values.astype(np.float64),
        _marks(np.array([line["index"] for line in lines]), flipped),
        "self-influence, in units of the loss" if computed else "training loss",
        why,
    )


def _marks(order: np.ndarray, flipped: list[int] | None) -> np.ndarray | None:
    return None if flipped is None else np.isin(order, flipped)  # [N]
