"""The spectrum of the curvature that a method has fitted, block by block, beside its damping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hessinf.display.numbers import counted, setting
from hessinf.reporting.plots.errors import PlotError
from hessinf.reporting.plots.figures import GRID, new_figure, note, plain
from hessinf.reporting.plots.line_styles import BACK, SEQUENTIAL, line_styles
from hessinf.reporting.plots.sources import directory_of, results_in, unknown
from hessinf.reporting.spectrum_blocks import ROUNDING, block_label
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.run_files import SPECTRUM

if TYPE_CHECKING:
    import matplotlib
    import numpy as np
    from matplotlib.figure import Figure
else:
    matplotlib = lazy_import("matplotlib")
    np = lazy_import("numpy")

NAMED = 8
"""Up to so many blocks have a line style and a name of their own; more have a color by place."""

NAME = 24
"""Characters of a name."""

FEW = 20
"""Up to so many eigenvalues are marked one by one."""


def spectrum(given: Any) -> Figure:
    """Draw the eigenvalues of the curvature by rank, and the damping that was added to them.

    Parameters
    ----------
    given
        A run directory with ``spectrum.json``, what that file says, or eigenvalues by the names of
        blocks.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    PlotError
        When the method of the run knows no spectrum, or there are no eigenvalues.
    """
    described = _described(given)
    blocks = described["blocks"]
    if not any(len(block["eigenvalues"]) for block in blocks):
        raise PlotError("there are no eigenvalues to draw")
    with new_figure(6.4, 4.2) as canvas:
        axes = canvas.subplots()
        top = max(float(block["eigenvalues"][0]) for block in blocks if block["eigenvalues"])
        if top <= 0:
            note(axes, "no eigenvalue is positive")
            return canvas
        axes.grid(**GRID)
        axes.set_axisbelow(True)
        _lines(canvas, axes, blocks, top * ROUNDING)
        negative = sum(sum(value <= 0 for value in block["eigenvalues"]) for block in blocks)
        title = plain(str(described["curvature"]), 60)
        said = counted(len(blocks), "block")
        if not described["complete"]:
            said += ", the largest eigenvalues only"
        if negative:
            said += f", {negative:,} of those known not positive"
        axes.set_title(f"Spectrum: {title}\n({said})")
        axes.set_xlabel("rank of the eigenvalue in its block")
        axes.set_ylabel("eigenvalue of the mean loss")
    return canvas


def _lines(canvas: Any, axes: Any, blocks: Sequence[Mapping[str, Any]], floor: float) -> None:
    """Draw a line for each block, and one for its damping."""
    named = len(blocks) <= NAMED
    # Without the end that is too light on paper.
    table = matplotlib.colors.ListedColormap(
        matplotlib.colormaps[SEQUENTIAL](np.linspace(0, 0.8, 256))
    )
    colors = table(np.linspace(0, 1, len(blocks)))  # [B, 4]
    most, least = 1, 10.0**300
    for block, style, color in zip(blocks, line_styles(), colors, strict=False):
        ranks = np.array(block["ranks"])  # [n]
        values = np.array(block["eigenvalues"], dtype=np.float64)  # [n]
        shown = values > floor
        most = max(most, int(ranks.max(initial=1)))
        if not named:
            style = {"color": color, "linewidth": 0.9}
        damping = block.get("damping")
        if shown.any():
            least = min(least, float(values[shown].min()))
            label = plain(block_label(block["name"]), NAME)
            if damping:
                label += f", damping {setting(damping)}"
            axes.plot(
                ranks[shown], values[shown], marker="." if shown.sum() <= FEW else "",
                label=label, **style,
            )  # fmt: skip
        if damping and named:
            axes.axhline(damping, color=style["color"], linewidth=0.9, linestyle=(0, (1, 3)))
            least = min(least, max(damping, floor))
    axes.set_yscale("log")
    if least < 10.0**300:
        axes.set_ylim(bottom=least / 2)
    if most > FEW:
        axes.set_xscale("log")
    else:
        axes.set_xlim(0.5, most + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
    if named:
        if any(block.get("damping") for block in blocks):
            axes.plot([], [], color=BACK, linewidth=0.9, linestyle=(0, (1, 3)), label="damping")
        axes.legend(fontsize=8.0, loc="best")
    else:
        scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(1, len(blocks)), table)
        canvas.colorbar(scale, ax=axes, label="block, from the input to the output")


def _described(given: Any) -> Mapping[str, Any]:
    folder = directory_of(given)
    if folder is not None:
        if not (folder / SPECTRUM).exists():
            raise PlotError(
                f"{folder} has no {SPECTRUM}: its method knows no spectrum of the curvature (or it "
                "was written by an earlier version)"
            )
        return results_in(folder, SPECTRUM, "interpret")
    if not isinstance(given, Mapping):
        raise unknown("spectrum", "a run or eigenvalues by the names of blocks", given)
    if "blocks" in given:
        return given
    blocks = []
    for name, eigenvalues in given.items():
        values = np.sort(np.asarray(eigenvalues, dtype=np.float64).ravel())[::-1]  # [n]
        if not np.isfinite(values).all():
            raise PlotError(f'the eigenvalues of "{name}" are not all finite')
        blocks.append(
            {
                "name": str(name),
                "ranks": list(range(1, len(values) + 1)),
                "eigenvalues": values.tolist(),
            }
        )
    return {"curvature": "eigenvalues", "complete": True, "blocks": blocks}
