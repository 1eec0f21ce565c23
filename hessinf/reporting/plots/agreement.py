"""How far attributions agree: rank correlation and shared ends of the rankings, as matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hessinf.display.numbers import number
from hessinf.reporting.plots.compared import compared
from hessinf.reporting.plots.figures import new_figure, plain
from hessinf.reporting.plots.line_styles import DIVERGING, SEQUENTIAL
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import matplotlib
    import numpy as np
    from matplotlib.figure import Figure

    from hessinf.evaluation import agreement as measured
else:
    matplotlib = lazy_import("matplotlib")
    np = lazy_import("numpy")
    measured = lazy_import("hessinf.evaluation.agreement")

NAME = 22
"""Characters of a name."""

CELL = 0.42
"""Inches that a number takes."""

UNDEFINED = "#e4e7eb"


def agreement(given: Any, *, top_k: int = 10) -> Figure:
    """Draw how far each pair of attributions agrees.

    Parameters
    ----------
    given
        A run directory of ``hessinf compare``, what ``compare()`` returned, or scores ``[Q, N]`` by
        name.
    top_k
        How many examples at each end are compared, where scores are given.

    Returns
    -------
    matplotlib.figure.Figure
        Three matrices: Spearman's rank correlation, and the share of the most helpful and of the
        most harmful examples that both have, all as means over queries.

    Raises
    ------
    PlotError
        When there is no comparison.
    EvaluationError
        When scores are of different shapes, or not finite.
    """
    found = _agreement(given, top_k)
    names = [plain(name, NAME) for name in found["names"]]
    side = CELL * len(names) + 0.4
    longest = max(0.075 * max(map(len, names)), 0.6)
    chance = number(found["top_k_by_chance"])
    panels = (
        ("spearman", "rank correlation\n(Spearman)", DIVERGING, -1.0),
        (
            "top_k_helpful",
            f"{found['top_k']:,} most helpful:\nshare that both have",
            SEQUENTIAL,
            0.0,
        ),
        (
            "top_k_harmful",
            f"{found['top_k']:,} most harmful:\nshare that both have",
            SEQUENTIAL,
            0.0,
        ),
    )
    with new_figure(3 * max(side, 1.8) + longest + 0.6, max(side, 1.2) + longest + 1.1) as canvas:
        for axes, (key, title, colors, low) in zip(
            canvas.subplots(1, 3, sharey=True), panels, strict=True
        ):
            _matrix(axes, found[key], names, (title, colors, low))
        canvas.suptitle(f"Agreement, mean over queries (share by chance: {chance})", fontsize=11.0)
    return canvas


def _matrix(
    axes: Any,
    values: Sequence[Sequence[float | None]],
    names: Sequence[str],
    look: tuple[str, str, float],
) -> None:
    """Draw one matrix with its numbers."""
    title, colors, low = look
    grid = np.array(values, dtype=np.float64)  # [R, R]; None is NaN
    table = matplotlib.colormaps[colors].with_extremes(bad=UNDEFINED)
    image = axes.imshow(grid, cmap=table, vmin=low, vmax=1.0, interpolation="nearest")
    for row, column in np.ndindex(grid.shape):
        value = grid[row, column]
        red, green, blue, _ = table(image.norm(value) if np.isfinite(value) else np.nan)
        dark = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 < 0.18
        axes.text(
            column,
            row,
            f"{value:.2f}".replace("-", "−") if np.isfinite(value) else "–",
            ha="center",
            va="center",
            fontsize=8.0,
            color="white" if dark else "black",
        )
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title)


def _agreement(given: Any, top_k: int) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        if "agreement" in given:
            found: Mapping[str, Any] = given["agreement"]
            return found
        if "spearman" in given and "names" in given:
            return given
        scores = {str(name): np.asarray(matrix) for name, matrix in given.items()}
        return measured.agreement(scores, top_k=top_k).to_json()
    if hasattr(given, "to_json"):
        return dict(given.to_json())
    of_run: Mapping[str, Any] = compared(given, "agreement")[0]["agreement"]
    return of_run
