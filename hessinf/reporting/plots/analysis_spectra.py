"""Plots of spectra: sorted eigenvalues by sign, and smoothed densities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hessinf.evaluation.curvature_stability import stability_statistics
from hessinf.reporting.plots.line_styles import line_styles
from hessinf.reporting.short_names import short_name
from hessinf.reporting.spectrum_blocks import ROUNDING
from hessinf.solvers.spectral_density import smoothed_density

PLACES = 600
"""Where a density is drawn."""

FEW = 20
"""Up to so many eigenvalues are marked one by one."""

WIDTH = 1 / 150
"""The smoothing, as a share of the range of eigenvalues."""


def draw_spectra(canvas: Any, arrays: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Draw the spectra of several curvatures.

    Parameters
    ----------
    canvas
        A figure.
    arrays
        By title: ``"eigenvalues"`` ``[P]``, or ``"nodes"`` and ``"weights"`` ``[S, m]``.
    """
    exact = all("eigenvalues" in own for own in arrays.values())
    if exact:
        canvas.set_size_inches(14.5, 4.4)
        positive, negative, density = canvas.subplots(1, 3)
        _sorted(positive, arrays, 1.0, "positive eigenvalues")
        _sorted(negative, arrays, -1.0, "negative eigenvalues")
    else:
        canvas.set_size_inches(8.5, 4.4)
        density = canvas.subplots()
    _densities(density, arrays, exact)
    canvas.legend(loc="outside right upper", fontsize=8)


def _sorted(
    axes: Any, arrays: Mapping[str, Mapping[str, np.ndarray]], sign: float, title: str
) -> None:
    """Draw eigenvalues of one sign, the largest magnitude first."""
    top = max(float(np.abs(own["eigenvalues"]).max()) for own in arrays.values())
    floor = top * ROUNDING
    most = 0
    for own, style in zip(arrays.values(), line_styles(), strict=False):
        values = np.sort(sign * own["eigenvalues"])[::-1]  # [P]
        values = values[values > floor]
        most = max(most, len(values))
        if len(values):
            axes.plot(np.arange(1, len(values) + 1), values, marker=_marker(values), **style)
    if most:
        if most > FEW:
            axes.set_xscale("log")
        else:
            axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_yscale("log")
    else:
        axes.text(0.5, 0.5, "none", ha="center", va="center", transform=axes.transAxes)
        axes.set_xticks([])
        axes.set_yticks([])
    axes.set_title(title)
    axes.set_xlabel("rank")
    axes.set_ylabel(f"magnitude, above {floor:.0e}")


def _marker(values: np.ndarray) -> str:
    """Mark what would not show as a line."""
    return "." if len(values) <= FEW else ""


def _densities(axes: Any, arrays: Mapping[str, Mapping[str, np.ndarray]], exact: bool) -> None:
    """Draw smoothed densities; the mass around zero is mostly far above the rest."""
    quadratures = {name: _quadrature(own) for name, own in arrays.items()}
    low = min(float(nodes.min()) for nodes, _ in quadratures.values())
    high = max(float(nodes.max()) for nodes, _ in quadratures.values())
    span = high - low if high > low else 1.0
    width = span * WIDTH
    places = torch.linspace(low - 4 * width, high + 4 * width, PLACES, dtype=torch.float64)  # [G]
    top = 0.0
    for (name, (nodes, weights)), style in zip(quadratures.items(), line_styles(), strict=False):
        values = smoothed_density(nodes, weights, places, width).numpy()  # [G]
        top = max(top, float(values.max()))
        axes.plot(places.numpy(), values, label=_label(name, arrays[name]), **style)
    axes.set_yscale("log")
    axes.set_ylim(top * 1e-7, top * 3)
    how = "of all eigenvalues" if exact else "by stochastic Lanczos quadrature"
    axes.set_title(f"density {how}, σ = {width:.2g}")
    axes.set_xlabel("eigenvalue")
    axes.set_ylabel("share of eigenvalues per unit")


def _label(name: str, own: Mapping[str, np.ndarray]) -> str:
    """Name a curvature, with the number of its negative eigenvalues beyond rounding."""
    name = short_name(name)
    if "eigenvalues" not in own:
        return name
    negative = stability_statistics(torch.from_numpy(own["eigenvalues"])).negative
    return f"{name}\n({negative:,} negative)" if negative else name


def _quadrature(own: Mapping[str, np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return nodes and weights ``[n]`` with sum 1."""
    if "eigenvalues" in own:
        nodes = torch.from_numpy(own["eigenvalues"])
        return nodes, torch.full_like(nodes, 1 / len(nodes))
    nodes, weights = (torch.from_numpy(own[key]) for key in ("nodes", "weights"))  # [S, m]
    kept = weights > 0
    return nodes[kept], weights[kept] / len(weights)
