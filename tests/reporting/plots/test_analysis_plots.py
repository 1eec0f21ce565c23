"""Plots of an analysis."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.figure import Figure  # noqa: E402
from matplotlib.image import imread  # noqa: E402

from hessinf.reporting.plots.analysis_matrices import (  # noqa: E402
    draw_comparison,
    draw_inversion_errors,
    draw_matrix,
)
from hessinf.reporting.plots.analysis_plots import draw_analysis, title_of  # noqa: E402
from hessinf.reporting.plots.analysis_spectra import draw_spectra  # noqa: E402
from hessinf.reporting.short_names import short_name  # noqa: E402

LAYOUT: dict[str, Any] = {
    "parameters": 100,
    "blocks": {"first": 70, "tiny": 2, "last": 28},
    "block_starts": {"first": 0, "tiny": 70, "last": 72},
}

ERRORS = {
    "exact": {"thresholds": [None], "of_damped": [[1e-12], ["nan"]]},
    "pseudo": {"thresholds": [1e-6, 1e-4], "of_damped": [[1e-12, 1.0], [0.0, 2.5]]},
}


def curvature(**more: Any) -> dict[str, Any]:
    return {"curvature": "exact", "whole": {"inversion_errors": ERRORS}, **more}


ANALYSIS: dict[str, Any] = {
    **LAYOUT,
    "mode": "dense",
    "dampings": [1e-3, 1e-2],
    "reference": curvature(),
    "approximations": {
        "ggn": curvature(against_reference={"whole": {"relative_residual": 0.25}}),
    },
}


def arrays() -> dict[str, dict[str, np.ndarray]]:
    picture = np.zeros((50, 50))
    picture[:20, :20] = 1e-3
    picture[5, 5] = 10
    own = {"picture": picture, "eigenvalues": np.linspace(-0.5, 3, 100)}
    return {"reference": own, "ggn": {**own, "difference": picture / 2}}


def test_every_plot_twice_with_the_same_bytes(tmp_path):
    files = draw_analysis(ANALYSIS, arrays(), tmp_path / "one")
    assert [path.name for path in files] == [
        f"{name}.{suffix}"
        for name in (
            "spectra",
            "matrix_reference",
            "inversion_errors_reference",
            "matrix_ggn",
            "inversion_errors_ggn",
            "comparison_ggn",
        )
        for suffix in ("png", "svg")
    ]
    again = draw_analysis(ANALYSIS, arrays(), tmp_path / "other")
    for one, other in zip(files, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
        if one.suffix == ".svg":
            assert ElementTree.parse(one).getroot().tag.endswith("svg")
        else:
            assert imread(one).std() > 0.01  # no empty page


def test_without_matrices_there_are_densities(tmp_path):
    """And the style of whoever draws beside stays as it is."""
    weights = np.full((2, 5), 0.2)
    nodes = np.array([[0.0, 1, 2, 3, 4], [0.5, 1, 2, 3, 5]])
    own = {"nodes": nodes, "weights": weights}
    before = dict(matplotlib.rcParams)
    analysis = {**ANALYSIS, "mode": "matrix-free"}
    files = draw_analysis(analysis, {"reference": own, "ggn": own}, tmp_path)
    assert [path.name for path in files] == ["spectra.png", "spectra.svg"]
    assert dict(matplotlib.rcParams) == before


def test_titles():
    assert title_of("reference", {"curvature": "exact"}) == "hessian (reference)"
    assert title_of("reference", {"curvature": "ggn"}) == "ggn (reference)"
    assert title_of("mine", {"curvature": "ggn"}) == "mine"


class TestMatrix:
    @pytest.fixture
    def axes(self) -> Any:
        canvas = Figure()
        draw_matrix(canvas, "hessian", arrays()["reference"]["picture"], LAYOUT)
        return canvas.axes[0]

    def test_colours_are_logarithms(self, axes):
        (image,) = axes.get_images()
        values = image.get_array()
        assert values[5, 5] == pytest.approx(1)
        assert values[0, 0] == pytest.approx(-3)
        assert bool(np.ma.getmaskarray(values)[49, 49]) or np.isnan(values[49, 49])
        assert image.get_clim() == (-5, 1)

    def test_lines_between_layers(self, axes):
        """At the borders of blocks, in cells; two for each border."""
        places = sorted({float(max(line.get_xdata())) for line in axes.get_lines()} - {1.0})
        assert places == [35, 36]
        assert len(axes.get_lines()) == 4

    def test_labels_of_layers(self, axes):
        """Those of blocks too small for one are left out."""
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == ["first", "last"]
        assert axes.get_yticks().tolist() == [17.5, 43]
        assert axes.get_title() == "hessian: 100 parameters"


def test_panels_of_a_comparison_share_their_colours():
    canvas = Figure()
    picture = arrays()["ggn"]["picture"]
    draw_comparison(
        canvas, {"a": picture, "b": picture * 10, "difference": picture * 9}, LAYOUT, 0.123456
    )
    panels = canvas.axes[:3]
    assert [axes.get_title() for axes in panels] == ["a", "b", "difference"]
    assert {axes.get_images()[0].get_clim() for axes in panels} == {(-4, 2)}
    assert canvas.get_suptitle() == "relative residual 0.123"
    assert canvas.axes[3].get_ylabel() == ("log₁₀ |entry|, root mean square by cell (grey: zero)")


def test_a_matrix_of_zeros_can_be_drawn():
    canvas = Figure()
    draw_matrix(canvas, "nothing", np.zeros((4, 4)), LAYOUT)
    assert canvas.axes[0].get_images()[0].get_clim() == (-6, 0)


def test_inversion_errors_are_written_into_their_cells():
    canvas = Figure()
    draw_inversion_errors(canvas, "hessian", ERRORS, [1e-3, 1e-2])
    exact, pseudo = canvas.axes[:2]
    assert [text.get_text() for text in exact.texts] == ["1e-12", "singular"]
    assert [text.get_text() for text in pseudo.texts] == ["1e-12", "1", "0", "2.5"]
    assert [label.get_text() for label in pseudo.get_xticklabels()] == ["1e-06", "0.0001"]
    assert exact.get_ylabel() == "damping λ"


def test_many_thresholds_have_room_for_their_numbers():
    thresholds = [10.0**-place for place in range(9)]
    grid = [[1.6e-16] * 9] * 2
    canvas = Figure(layout="constrained")
    draw_inversion_errors(
        canvas, "x" * 100, {"pseudo": {"thresholds": thresholds, "of_damped": grid}}, [1e-3, 1e-2]
    )
    canvas.draw_without_rendering()
    axes = canvas.axes[0]
    places = [text.get_window_extent() for text in axes.texts[:9]]
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(places))
    title = canvas._suptitle.get_window_extent()
    assert 0 <= title.x0 < title.x1 <= canvas.bbox.x1


def test_long_names_are_cut_in_the_middle():
    name = "first" + "-" * 70 + "last"
    assert short_name("kfac") == "kfac"
    assert short_name(name) == f"first{'-' * 15}…{'-' * 15}last"
    assert len(short_name(name)) == 40
    canvas = Figure(layout="constrained")
    draw_comparison(canvas, dict.fromkeys([name, "ggn"], np.eye(100)), LAYOUT, 0.5)
    assert canvas.axes[0].get_title() == short_name(name)
    canvas = Figure(layout="constrained")
    draw_spectra(canvas, {name: {"eigenvalues": np.linspace(1.0, 2.0, 5)}})
    assert [text.get_text() for text in canvas.legends[0].get_texts()] == [short_name(name)]


def test_spectra_by_sign():
    canvas = Figure()
    own = arrays()["reference"]
    draw_spectra(canvas, {"one": own, "other": {"eigenvalues": np.linspace(1, 2, 100)}})
    positive, negative, density = canvas.axes
    assert len(positive.get_lines()) == 2
    assert len(negative.get_lines()) == 1
    (line,) = negative.get_lines()
    assert line.get_ydata().tolist() == sorted(-own["eigenvalues"][own["eigenvalues"] < 0])[::-1]
    labels = [line.get_label() for line in density.get_lines()]
    assert labels == [f"one\n({(own['eigenvalues'] < 0).sum()} negative)", "other"]
    places, values = density.get_lines()[0].get_data()
    assert np.trapezoid(values, places) == pytest.approx(1, abs=1e-3)
    styles = {(line.get_color(), line.get_linestyle()) for line in density.get_lines()}
    assert len(styles) == 2


def test_where_nothing_is_negative():
    canvas = Figure()
    draw_spectra(canvas, {"one": {"eigenvalues": np.ones(5)}})
    assert [text.get_text() for text in canvas.axes[1].texts] == ["none"]


def test_many_curvatures_all_look_different():
    canvas = Figure()
    draw_spectra(canvas, {str(n): {"eigenvalues": np.arange(1.0, 9)} for n in range(30)})
    lines = canvas.axes[2].get_lines()
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 30
