"""Plots of an analysis of curvature, as PNG and SVG: the same bytes each time.

Color maps are even in lightness and told apart by the color-blind (cividis); lines have the
colors of Okabe & Ito (2008) and styles of their own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hessinf.reporting.plots.analysis_matrices import (
    draw_comparison,
    draw_inversion_errors,
    draw_matrix,
)
from hessinf.reporting.plots.analysis_spectra import draw_spectra
from hessinf.reporting.plots.figures import new_figure, write_figure

Arrays = Mapping[str, Mapping[str, np.ndarray]]
"""What each curvature's plots are drawn from, by its name."""

REFERENCE = "reference"


def draw_analysis(analysis: Mapping[str, Any], arrays: Arrays, folder: Path) -> list[Path]:
    """Draw everything of an analysis.

    Parameters
    ----------
    analysis
        What ``analysis.json`` says.
    arrays
        Pictures of matrices and their eigenvalues, or the nodes and weights of a spectral density.
    folder
        Where the files belong; made here.

    Returns
    -------
    list of Path
        The files, each as PNG and as SVG.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    described = {REFERENCE: analysis["reference"], **analysis["approximations"]}
    titles = {name: title_of(name, found) for name, found in described.items()}
    with _figure(folder / "spectra", written) as canvas:
        draw_spectra(canvas, {titles[name]: arrays[name] for name in titles})
    if analysis["mode"] != "dense":
        return written
    for name, found in described.items():
        own = arrays[name]
        with _figure(folder / f"matrix_{name}", written) as canvas:
            draw_matrix(canvas, titles[name], own["picture"], analysis)
        with _figure(folder / f"inversion_errors_{name}", written) as canvas:
            draw_inversion_errors(
                canvas,
                titles[name],
                found["whole"]["inversion_errors"],
                analysis["dampings"],
            )
        if name != REFERENCE:
            with _figure(folder / f"comparison_{name}", written) as canvas:
                pictures = {
                    titles[REFERENCE]: arrays[REFERENCE]["picture"],
                    titles[name]: own["picture"],
                    "difference": own["difference"],
                }
                residual = found["against_reference"]["whole"]["relative_residual"]
                draw_comparison(canvas, pictures, analysis, residual)
    return written


def title_of(name: str, found: Mapping[str, Any]) -> str:
    """Name a curvature in a plot: the reference by what it is."""
    if name != REFERENCE:
        return name
    curvature = found["curvature"]
    return f"{'hessian' if curvature == 'exact' else curvature} (reference)"


@contextlib.contextmanager
def _figure(path: Path, written: list[Path]) -> Iterator[Any]:
    """Hand out a figure, whose size is set by who draws, and write it in both formats."""
    with new_figure() as canvas:
        yield canvas
    written += write_figure(canvas, path)
