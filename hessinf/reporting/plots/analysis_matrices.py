"""Heat maps: matrices with the borders of their blocks, and the errors of inversions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hessinf.reporting.plots.line_styles import SEQUENTIAL
from hessinf.reporting.short_names import short_name
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import matplotlib
else:
    matplotlib = lazy_import("matplotlib")

ZERO = "#dddddd"
"""What has no logarithm: entries that are exactly zero."""

DECADES = 6
"""How far below the largest entry colors go."""

CELL, PANEL = 0.7, 2.2
"""Inches: what a number takes beside another, and a panel of a figure of 10."""

LEAST_LABELLED = 0.03
"""Blocks with a smaller share of the parameters have borders, and no label."""


def draw_matrix(canvas: Any, title: str, picture: np.ndarray, analysis: Mapping[str, Any]) -> None:
    """Draw one matrix.

    Parameters
    ----------
    canvas
        A figure.
    title
        What it is.
    picture
        Root mean squares of entries by cell, ``[C, C]``.
    analysis
        Says where blocks lie.
    """
    canvas.set_size_inches(6.4, 5.6)
    axes = canvas.subplots()
    image = _show(axes, picture, _range([picture]))
    _borders(axes, picture, analysis, labelled=True)
    axes.set_title(f"{short_name(title)}: {analysis['parameters']:,} parameters")
    _bar(canvas, image, [axes])


def draw_comparison(
    canvas: Any,
    pictures: Mapping[str, np.ndarray],
    analysis: Mapping[str, Any],
    residual: float | str | None,
) -> None:
    """Draw reference, approximation and their difference with the same colors.

    Parameters
    ----------
    canvas
        A figure.
    pictures
        By their titles.
    analysis
        Says where blocks lie.
    residual
        The relative residual.
    """
    canvas.set_size_inches(13.0, 4.6)
    panels = canvas.subplots(1, len(pictures))
    limits = _range(list(pictures.values()))
    image = None
    for place, (axes, (title, picture)) in enumerate(zip(panels, pictures.items(), strict=True)):
        image = _show(axes, picture, limits)
        _borders(axes, picture, analysis, labelled=place == 0)
        axes.set_title(short_name(title))
    said = f"{residual:.3g}" if isinstance(residual, float) else str(residual)
    canvas.suptitle(f"relative residual {said}")
    _bar(canvas, image, list(panels))


def draw_inversion_errors(
    canvas: Any, title: str, errors: Mapping[str, Any], dampings: Sequence[float]
) -> None:
    """Draw ``‖(M + λI) M⁻¹ − I‖_F`` over damping and threshold, a panel for each inversion.

    Parameters
    ----------
    canvas
        A figure.
    title
        Of the matrix.
    errors
        By the name of the inversion, as in ``analysis.json``.
    dampings
        The λ.
    """
    grids = {name: _numbers(found["of_damped"]) for name, found in errors.items()}  # [D, T] each
    found = np.concatenate([grid[np.isfinite(grid) & (grid > 0)] for grid in grids.values()])
    low, high = (
        (math.log10(float(found.min())), math.log10(float(found.max()))) if len(found) else (0, 1)
    )
    columns = 3
    rows = -(-len(grids) // columns)
    most = max(grid.shape[1] for grid in grids.values())
    width = 10.0 + columns * max(0.0, CELL * most - PANEL)
    canvas.set_size_inches(width, 0.9 + rows * (1.2 + 0.45 * len(dampings)))
    panels = canvas.subplots(rows, columns, squeeze=False)
    image = None
    for axes, name in zip(panels.flat, grids, strict=False):
        image = axes.imshow(
            _logarithms(grids[name]),
            cmap=_colors(),
            vmin=low,
            vmax=max(high, low + 1),
            aspect="auto",
        )
        thresholds = errors[name]["thresholds"]
        axes.set_xticks(
            range(len(thresholds)), ["none" if one is None else f"{one:g}" for one in thresholds]
        )
        axes.set_yticks(range(len(dampings)), [f"{damping:g}" for damping in dampings])
        axes.set_title(name)
        for row, column in np.ndindex(grids[name].shape):
            value = grids[name][row, column]
            middle = math.isfinite(value) and value > 0 and math.log10(value) > (low + high) / 2
            axes.text(
                column,
                row,
                f"{value:.2g}" if math.isfinite(value) else "singular",
                ha="center",
                va="center",
                color="black" if middle or not math.isfinite(value) or value == 0 else "white",
            )
    for axes in panels.flat[len(grids) :]:
        axes.set_axis_off()
    for axes in panels[:, 0]:
        axes.set_ylabel("damping λ")
    for axes in panels[-1]:
        axes.set_xlabel("threshold")
    canvas.suptitle(f"{short_name(title)}: error of the inverse, ‖(M + λI) M⁻¹ − I‖")
    canvas.colorbar(image, ax=list(panels.flat), label="log₁₀ of the error", shrink=0.9)


def _show(axes: Any, picture: np.ndarray, limits: tuple[float, float]) -> Any:
    return axes.imshow(
        _logarithms(picture),
        cmap=_colors(),
        vmin=limits[0],
        vmax=limits[1],
        interpolation="nearest",
        extent=(0, len(picture), len(picture), 0),
    )


def _bar(canvas: Any, image: Any, axes: list[Any]) -> None:
    label = "log₁₀ |entry|, root mean square by cell (grey: zero)"
    canvas.colorbar(image, ax=axes, label=label, extend="min", shrink=0.9)


def _borders(
    axes: Any, picture: np.ndarray, analysis: Mapping[str, Any], *, labelled: bool
) -> None:
    """Draw lines between blocks that lie one after another, and write their names beside them."""
    cells, size = len(picture), analysis["parameters"]
    names, centers = [], []
    for name, start in analysis["block_starts"].items():
        if start is None:  # its parameters do not lie side by side
            continue
        count = analysis["blocks"][name]
        if start > 0:
            for line in (axes.axhline, axes.axvline):
                line(start * cells / size, color="white", linewidth=0.8, alpha=0.9)
        if count >= LEAST_LABELLED * size:
            names.append(name)
            centers.append((start + count / 2) * cells / size)
    axes.set_xticks(centers, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(centers, names if labelled else [""] * len(names))
    axes.tick_params(length=2)


def _colors() -> Any:
    return matplotlib.colormaps[SEQUENTIAL].with_extremes(bad=ZERO)


def _logarithms(values: np.ndarray) -> np.ndarray:
    """Return log₁₀ where there is one, NaN elsewhere."""
    positive = np.isfinite(values) & (values > 0)
    return np.log10(
        np.where(positive, values, 1.0), where=positive, out=np.full(values.shape, np.nan)
    )


def _range(pictures: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the colors' ends: the largest entry, and some decades less."""
    largest = max(float(picture.max()) for picture in pictures)
    top = math.log10(largest) if largest > 0 else 0.0
    return top - DECADES, top


def _numbers(grid: Sequence[Sequence[float | str]]) -> np.ndarray:
    """Return a grid in which what is not finite may stand as a text."""
    return np.array([[float(value) for value in row] for row in grid])
