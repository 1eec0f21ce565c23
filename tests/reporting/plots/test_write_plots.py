"""Plots as files, and how figures look."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from hessinf.reporting import plots  # noqa: E402
from hessinf.reporting.plots.figures import plain  # noqa: E402
from tests.reporting.comparisons import comparison  # noqa: E402
from tests.reporting.plots.run_directories import (  # noqa: E402
    compare_run,
    interpret_run,
    interpreted,
    spectrum_of,
    write_json,
    write_lines,
)


class TestWritePlots:
    def test_of_an_interpretation(self, tmp_path):
        files = plots.write_plots(interpret_run(tmp_path))
        names = ("score_distribution", "self_influence", "spectrum")
        assert [file.name for file in files] == [
            f"{name}.{kind}" for name in names for kind in ("png", "svg")
        ]
        assert all(file.parent == tmp_path / "plots" for file in files)
        before = [file.read_bytes() for file in files]
        matplotlib.rcParams["font.size"] = 30.0  # what somebody has set changes nothing
        try:
            again = [file.read_bytes() for file in plots.write_plots(tmp_path)]
        finally:
            matplotlib.rcdefaults()
        assert again == before
        for file in files[1::2]:
            ElementTree.parse(file)

    def test_of_a_comparison_with_several_metrics(self, tmp_path):
        run = compare_run(tmp_path)
        made = comparison()
        made["evaluation"]["metrics"]["a/../b"] = made["evaluation"]["metrics"]["lds"]
        write_json(run / "comparison.json", made)
        assert [file.name for file in plots.write_plots(run)][::2] == [
            "agreement.png", "quality.png", "pareto_seconds.png", "pareto_memory.png",
            "pareto_seconds_2.png", "pareto_memory_2.png",
        ]  # fmt: skip

    def test_without_an_evaluation_there_is_agreement(self, tmp_path):
        files = plots.write_plots(compare_run(tmp_path, evaluation=None))
        assert [file.name for file in files] == ["agreement.png", "agreement.svg"]

    def test_of_a_run_of_before(self, tmp_path):
        run = interpret_run(tmp_path)
        lines = interpreted([[1.0, 2.0]])
        del lines[0]["scores"]
        write_lines(run / "interpretations.jsonl", lines)
        (run / "spectrum.json").unlink()
        assert [file.name for file in plots.write_plots(run)] == [
            "self_influence.png", "self_influence.svg",
        ]  # fmt: skip
        (run / "self_influence.jsonl").unlink()
        with pytest.raises(plots.PlotError, match=re.escape(f"{run} has nothing to draw")):
            plots.write_plots(run)

    def test_what_is_no_directory(self):
        with pytest.raises(plots.PlotError, match="expected the directory of a run, found list"):
            plots.write_plots([])

    def test_names_in_letters_that_the_font_lacks_are_no_warning(self, tmp_path, recwarn):
        write_json(tmp_path / "spectrum.json", spectrum_of({"層 1": [1.0], "a\nb\x00": [2.0]}))
        write_json(tmp_path / "provenance.json", {"hessinf": "0"})
        write_lines(tmp_path / "interpretations.jsonl", interpreted([[1.0]]))
        plots.write_plots(tmp_path)
        assert [str(one.message) for one in recwarn] == []


def test_a_notebook_shows_a_figure_at_twice_its_sharpness():
    content, size = plots.self_influence([3.0, 2.0])._repr_png_()
    assert content.startswith(b"\x89PNG")
    assert size == {"width": 520, "height": 360}
    assert int.from_bytes(content[16:20], "big") == 1040


def test_names_are_not_formulas():
    assert plain("a $x$ b", 40) == r"a \$x\$ b"
    assert plain("a\nb\x00", 40) == "a b␀"
    canvas = plots.agreement({"$x$": np.arange(4.0)[None], "b": np.arange(4.0)[None]})
    canvas.savefig("/dev/null", format="png")


def test_matplotlib_is_only_imported_to_draw():
    code = (
        "import sys; import hessinf.reporting.plots, hessinf.reporting.plots.analysis_plots; "
        "print('matplotlib' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    message = "plots need matplotlib, which is not installed: pip install 'hessinf[plots]'"
    with pytest.raises(plots.PlotError, match=f"^{re.escape(message)}$"):
        plots.self_influence([1.0])
