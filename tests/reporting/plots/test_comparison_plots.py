"""Plots of comparisons and evaluations: what is drawn, and what is refused."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from hessinf.evaluation.agreement import agreement as measured  # noqa: E402
from hessinf.reporting import plots  # noqa: E402
from tests.reporting.comparisons import comparison  # noqa: E402
from tests.reporting.contrast import contrast  # noqa: E402
from tests.reporting.plots.figure_texts import texts  # noqa: E402
from tests.reporting.plots.run_directories import compare_run, write_json  # noqa: E402


class TestAgreement:
    def test_three_matrices_with_their_numbers(self, tmp_path):
        canvas = plots.agreement(compare_run(tmp_path))
        correlation, helpful, harmful = canvas.axes
        written = [[text.get_text() for text in axes.texts] for axes in canvas.axes]
        assert written == [
            ["1.00", "−0.25", "−0.25", "–"],
            ["1.00", "0.50", "0.50", "1.00"],
            ["1.00", "0.40", "0.40", "1.00"],
        ]
        assert correlation.get_title() == "rank correlation\n(Spearman)"
        assert helpful.get_title() == "10 most helpful:\nshare that both have"
        assert harmful.get_title() == "10 most harmful:\nshare that both have"
        labels = [label.get_text() for label in correlation.get_yticklabels()]
        assert labels == ["kfac", "ekfac"]
        assert canvas.get_suptitle() == ("Agreement, mean over queries (share by chance: 0.00618)")

    def test_scores_results_and_comparisons_give_the_same(self):
        scores = {"a": np.arange(12.0).reshape(2, 6), "b": np.ones((2, 6))}
        found = measured(scores, top_k=2)
        given = (scores, found, found.to_json(), comparison(agreement=found.to_json()))
        drawn = [texts(plots.agreement(one, top_k=2)) for one in given]
        assert all(one == drawn[0] for one in drawn)
        assert "2 most helpful" in drawn[0]

    def test_numbers_are_legible_on_their_cells(self):
        values = np.linspace(-1, 1, 21)
        grid = {"names": [str(n) for n in range(21)], "top_k": 1, "top_k_by_chance": 0.1,
                "spearman": [values.tolist()] * 21, "top_k_helpful": [abs(values).tolist()] * 21,
                "top_k_harmful": [abs(values).tolist()] * 21}  # fmt: skip
        for axes in plots.agreement(grid).axes:
            image = axes.get_images()[0]
            colors = image.cmap(image.norm(image.get_array()))[0]  # [21, 4]
            for color, text in zip(colors, axes.texts[:21], strict=True):
                assert contrast(color[:3], matplotlib.colors.to_rgb(text.get_color())) >= 4.5


class TestPareto:
    @pytest.mark.parametrize(
        ("cost", "axis", "places"),
        [
            ("seconds", "time to fit and score, seconds", [2.0, 3.0]),
            ("memory", "peak memory of the whole process, MiB", [300.0, 300.0]),
        ],
    )
    def test_quality_beside_cost(self, tmp_path, cost, axis, places):
        axes = plots.pareto(compare_run(tmp_path), cost=cost).axes[0]
        assert axes.get_xlabel() == axis
        assert axes.get_ylabel() == "lds (higher is better)"
        points = [line for line in axes.get_lines() if line.get_marker() == "o"]
        assert [float(line.get_xdata()[0]) for line in points] == places
        assert [float(line.get_ydata()[0]) for line in points] == [0.42, 0.41]
        assert points[0].get_color() != points[1].get_color()  # ekfac is beaten in both
        assert {"kfac", "ekfac"} <= set(texts(axes.figure).split("\n"))

    def test_names_do_not_lie_on_each_other(self, tmp_path):
        run = compare_run(tmp_path)
        names = [f"method {n}" for n in range(20)]
        made = comparison()
        made["evaluation"]["metrics"]["lds"]["rows"] = {name: {"value": 0.3} for name in names}
        write_json(run / "comparison.json", made)
        cost = {"seconds": 1.0, "cpu_seconds": 1.0}
        rows = {name: {"fit": cost, "score": cost, "peak_memory_bytes": 2**28} for name in names}
        write_json(run / "metrics.json", {"rows": rows})
        canvas = plots.pareto(run)
        boxes = [text.get_window_extent() for text in canvas.axes[0].texts]
        assert len(boxes) == 20
        for one, other in itertools.combinations(boxes, 2):
            width = min(one.x1, other.x1) - max(one.x0, other.x0)
            height = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert min(width, height) < 0.5  # of a pixel
        for one in boxes:
            assert canvas.bbox.contains(one.x0, one.y0)
            assert canvas.bbox.contains(one.x1, one.y1)

    @pytest.mark.parametrize(
        ("changes", "arguments", "error", "message"),
        [
            ({"evaluation": None}, {}, plots.PlotError,
             "what was given holds no evaluation: run hessinf evaluate, or compare with a config "
             "that has an evaluation"),
            ({}, {"metric": "loo"}, plots.PlotError, 'there is no metric "loo"; there are: lds'),
            ({}, {"cost": "money"}, ValueError, "cost is \"seconds\" or \"memory\", found 'money'"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_drawn(self, tmp_path, changes, arguments, error, message):
        with pytest.raises(error, match=re.escape(message)):
            plots.pareto(compare_run(tmp_path, **changes), **arguments)

    def test_nothing_was_measured(self, tmp_path):
        run = compare_run(tmp_path)
        write_json(run / "metrics.json", {"complete": True})
        message = 'no row has both a value of "lds" and a measured cost'
        with pytest.raises(plots.PlotError, match=re.escape(message)):
            plots.pareto(run)
        with pytest.raises(plots.PlotError, match="pareto draws a run of hessinf compare"):
            plots.pareto(comparison())


class TestQuality:
    def test_the_best_is_at_the_top_with_its_interval(self, tmp_path):
        axes = plots.quality(compare_run(tmp_path)).axes[0]
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == ["kfac", "ekfac", "random (baseline)"]
        assert axes.get_ylim() == (2.5, -0.5)
        points = [line for line in axes.get_lines() if line.get_marker() == "o"]
        assert [float(line.get_xdata()[0]) for line in points] == [0.42, 0.41, -0.01]
        assert points[2].get_markerfacecolor() == "white"
        intervals = [lines.get_segments()[0][:, 0].tolist() for lines in axes.collections]
        assert intervals[0] == pytest.approx([0.37, 0.47])
        assert axes.get_xlabel() == "lds, 95 % interval (higher is better)"

    def test_results_of_an_evaluation(self, tmp_path):
        results = {"metrics": comparison()["evaluation"]["metrics"]}
        write_json(tmp_path / "evaluation.json", results)
        assert texts(plots.quality(tmp_path)) == texts(plots.quality(results))
        assert texts(plots.quality(results)) == texts(plots.quality(comparison(), metric="lds"))

    def test_several_metrics_and_what_is_undefined(self):
        lds = comparison()["evaluation"]["metrics"]["lds"]
        rows = {"a": {"value": None}, "b": {"value": 1000.0}, "c": {"value": 1001.0}}
        other = {"higher_is_better": False, "columns": [], "rows": rows}
        empty = {**other, "rows": {}}
        first, second, third = plots.quality({"metrics": {"x": lds, "$y": other, "z": empty}}).axes
        assert [label.get_text() for label in second.get_yticklabels()] == [
            "b", "c", "a (undefined)",
        ]  # fmt: skip
        assert second.get_xlabel() == r"\$y (lower is better)"
        assert second.get_xlim()[0] > 0  # zero is far away
        assert first.get_xlim()[0] < 0
        assert "no row was judged" in [text.get_text() for text in third.texts]

    def test_what_cannot_be_drawn(self, tmp_path):
        message = (
            f"{tmp_path} has no evaluation.json; hessinf evaluate writes it, when the run is "
            "complete"
        )
        with pytest.raises(plots.PlotError, match=re.escape(message)):
            plots.quality(tmp_path)
        message = (
            "quality draws a run of hessinf evaluate or compare, or its results; found builtins.int"
        )
        with pytest.raises(plots.PlotError, match=re.escape(message)):
            plots.quality(3)
