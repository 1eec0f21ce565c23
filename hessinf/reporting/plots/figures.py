"""Figures: how they look, and how they become files of the same bytes each time.

matplotlib is imported when the first figure is made.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.display.html_text import printable
from hessinf.reporting.plots.errors import PlotError
from hessinf.reporting.short_names import short_name
from hessinf.runtime.files import write_atomically
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import matplotlib
    from matplotlib import layout_engine, patheffects
    from matplotlib.figure import Figure

    from hessinf.reporting.plots import shown_figure
else:
    matplotlib = lazy_import("matplotlib")
    layout_engine = lazy_import("matplotlib.layout_engine")
    patheffects = lazy_import("matplotlib.patheffects")
    shown_figure = lazy_import("hessinf.reporting.plots.shown_figure")

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "hessinf",  # ids that do not change from run to run
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same on every machine
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.unicode_minus": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "figure.dpi": 100.0,
    "figure.facecolor": "white",
    "savefig.dpi": 150.0,
    "text.usetex": False,
}

FORMATS = ((".png", {"Software": None}), (".svg", {"Date": None}))
"""Without what changes from day to day."""

PADDING = 0.08
"""Inches around panels."""

GRID: dict[str, Any] = {"color": "#d9dde2", "linewidth": 0.8, "zorder": 0}
QUIET = "#545d67"


def plots_available() -> bool:
    """Say whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


@contextlib.contextmanager
def new_figure(width: float = 6.4, height: float = 4.2) -> Iterator[Figure]:
    """Hand out a figure, to be drawn on inside the context; it looks the same whatever is set.

    Parameters
    ----------
    width, height
        In inches.

    Raises
    ------
    PlotError
        When matplotlib is not installed.
    """
    if not plots_available():
        raise PlotError(
            "plots need matplotlib, which is not installed: pip install 'hessinf[plots]'"
        )
    with style(), warnings.catch_warnings():
        # A name may be written in letters that the font lacks: they are shown as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        engine = layout_engine.ConstrainedLayoutEngine(w_pad=PADDING, h_pad=PADDING)
        yield shown_figure.ShownFigure(figsize=(width, height), layout=engine)


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw and write in the house's style, from matplotlib's defaults on."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def write_figure(canvas: Figure, path: Path) -> list[Path]:
    """Write a figure as PNG and as SVG.

    Parameters
    ----------
    canvas
        What is written.
    path
        Without a suffix.

    Returns
    -------
    list of Path
        The two files.
    """
    written = []
    with style(), warnings.catch_warnings():
        # A name may be written in letters that the font lacks: they are shown as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        engine = canvas.get_layout_engine()
        if engine is not None:
            # Once for both formats: it takes longer than drawing.
            engine.execute(canvas)
            canvas.set_layout_engine("none")
        for suffix, metadata in FORMATS:
            content = io.BytesIO()
            canvas.savefig(content, format=suffix[1:], metadata=metadata)
            file = path.with_name(path.name + suffix)
            write_atomically(file, content.getvalue())
            written.append(file)
    return written


def plain(name: str, longest: int) -> str:
    """Shorten a name, and keep its dollar signs from being taken for formulas.

    Parameters
    ----------
    name
        Of a row, a block, a metric: anything.
    longest
        How many characters there is room for.
    """
    return short_name(printable(" ".join(name.split())), longest).replace("$", r"\$")


def note(axes: Any, text: str) -> None:
    """Say in the middle of a panel why it is empty."""
    axes.text(
        0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=QUIET, wrap=True
    )
    # Not set_yticks([]): panels beside it may share the axis.
    axes.tick_params(which="both", bottom=False, left=False, labelbottom=False, labelleft=False)
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_visible(False)


def halo() -> list[Any]:
    """Return what keeps a text legible on lines: an edge in the color of the paper."""
    return [patheffects.withStroke(linewidth=2.5, foreground="white")]
