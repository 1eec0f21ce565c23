"""The metric "leave-one-out": rows, slopes, intervals and notes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hessinf.evaluation import EvaluationError, MethodAttribution, Metric, evaluate
from hessinf.evaluation.leave_one_out_truth import LeaveOneOutRetraining
from hessinf.registry import ConfigError
from hessinf.testing import leave_one_out as reference
from tests.evaluation.problems import small_problem


def judged(problem: Any, rows: Any, **arguments: Any) -> dict[str, Any]:
    metric = {"type": "leave-one-out", "resamples": 200, **arguments}
    return evaluate(problem, {"loo": metric}, rows)["metrics"]["loo"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    problem = small_problem(tmp_path_factory.mktemp("loo"), weight_decay=0.1)
    methods = {name: {"type": name, "damping": 0} for name in ("exact", "ggn", "kfac")}
    return judged(problem, methods)


class TestRows:
    def test_exact_curvature_is_right_and_refining_makes_it_nearly_perfect(
        self, found: dict[str, Any]
    ) -> None:
        for name in ("exact", "ggn"):
            row = found["rows"][name]
            assert row["value"] == row["pearson"] > 0.95
            assert row["interval"][0] < row["value"] < row["interval"][1]
            assert row["slope"] > 1.1
            assert row["refined_pearson"] > 0.999
            assert 0.97 < row["refined_slope"] < 1.03
            assert row["refined_relative_error"] < 0.1 < row["relative_error"]
            assert row["missing"] == 0

    def test_order_of_rows(self, found: dict[str, Any]) -> None:
        values = {name: row["value"] for name, row in found["rows"].items()}
        assert list(values) == ["exact", "ggn", "kfac", "random", "gradient-dot"]
        assert values["exact"] > values["kfac"] > values["random"]
        assert values["exact"] > values["gradient-dot"] > values["random"]
        pairs = [(one["better"], one["worse"]) for one in found["comparisons"]]
        assert pairs[-1][1] == "random"
        for one in found["comparisons"]:
            assert one["difference"] == values[one["better"]] - values[one["worse"]]

    def test_what_is_not_to_be_had_is_left_out(self, found: dict[str, Any]) -> None:
        assert not [key for key in found["rows"]["random"] if key.startswith("refined")]

    def test_slopes_in_words(self, found: dict[str, Any]) -> None:
        row = found["rows"]["exact"]
        assert found["notes"][0] == (
            f'"exact": real changes are {row["slope"]:.2f} times what the first order predicts: it '
            f"understates them; {row['refined_slope']:.2f} times what the refined one predicts"
        )
        assert not [note for note in found["notes"] if '"random"' in note]

    def test_the_truth_is_described(self, found: dict[str, Any]) -> None:
        assert found["truth"]["retrained_models"] == 60
        assert found["truth"]["queries"] == 12
        assert found["truth"]["standard_deviation"] < found["truth"]["largest"]
        json.dumps(found, allow_nan=False)


class TestGivenScores:
    """What people bring is judged by its scores alone."""

    def test_the_scores_of_a_method_get_its_numbers(self, tmp_path: Path) -> None:
        problem = small_problem(tmp_path, train_size=30)
        interpreter = {"type": "ggn", "damping": 0}
        scores = MethodAttribution("ggn", interpreter, problem).scores()
        found = judged(problem, {"ggn": interpreter, "given": scores}, refined=False)["rows"]
        for key in ("value", "spearman", "slope", "intercept", "relative_error", "pearson_min"):
            assert found["given"][key] == pytest.approx(found["ggn"][key], rel=1e-9), key

    @pytest.mark.parametrize("planted", ["negated", "permuted", "shifted"])
    def test_planted_errors_show(self, tmp_path: Path, planted: str) -> None:
        """Rows in another order were a defect of a peer; shifts are what centring takes away."""
        problem = small_problem(tmp_path, train_size=30)
        scores = MethodAttribution("ggn", {"type": "ggn", "damping": 0}, problem).scores()
        wrong = {
            "negated": -scores,
            "permuted": scores[:, np.random.default_rng(0).permutation(30)],
            "shifted": scores + 5.0,
        }[planted]
        rows = judged(problem, {"right": scores, "wrong": wrong}, refined=False)["rows"]
        if planted == "shifted":
            assert rows["wrong"]["slope"] == pytest.approx(rows["right"]["slope"])
            assert rows["wrong"]["intercept"] == pytest.approx(rows["right"]["intercept"])
        elif planted == "negated":
            assert rows["wrong"]["value"] == pytest.approx(-rows["right"]["value"])
        else:
            assert rows["wrong"]["value"] < rows["right"]["value"] - 0.4

    def test_a_list_of_examples_takes_their_columns(self, tmp_path: Path) -> None:
        problem = small_problem(tmp_path, train_size=30)
        everything = LeaveOneOutRetraining().produce(problem)
        scores = np.zeros((12, 30))
        scores[:, [20, 4, 11]] = everything.changes[[20, 4, 11]].T
        rows = judged(problem, {"some": scores}, examples=[20, 4, 11], refined=False)["rows"]
        assert rows["some"]["value"] > 0.999
        other = judged(problem, {"some": scores}, examples=[21, 5, 12], refined=False)["rows"]
        assert other["some"]["missing"] == 12


def test_the_same_lines_as_the_benchmark_of_refinement(tmp_path: Path) -> None:
    """Another program for retraining, and another for fitting lines."""
    problem = small_problem(tmp_path, train_size=40)
    truth = LeaveOneOutRetraining().produce(problem)
    predicted = MethodAttribution("exact", {"type": "exact", "damping": 0}, problem).loss_changes(
        refined=True
    )
    line = reference.line_through(predicted, truth.changes.T)
    row = judged(problem, {"exact": {"type": "exact", "damping": 0}})["rows"]["exact"]
    assert row["refined_pearson"] == pytest.approx(line.pearson)
    assert row["refined_slope"] == pytest.approx(line.slope)
    assert row["refined_intercept"] == pytest.approx(line.intercept)


class TestRefusals:
    def test_examples_said_twice(self) -> None:
        with pytest.raises(
            ConfigError,
            match=re.escape(
                "examples and ground_truth are both given; give the examples inside ground_truth"
            ),
        ):
            Metric.from_config(
                {"type": "leave-one-out", "examples": 3, "ground_truth": "leave-one-out"}
            )

    def test_a_ground_truth_of_subsets(self, tmp_path: Path) -> None:
        problem = small_problem(tmp_path, train_size=30)
        metric = Metric.from_config(
            {"type": "leave-one-out", "ground_truth": {"type": "leave-some-out", "subsets": 3}}
        )
        with pytest.raises(EvaluationError, match="gives LeaveSomeOutChanges; use "):
            metric.check(problem)  # before anything is trained
        with pytest.raises(EvaluationError) as raised:
            metric.prepare(problem)
        assert str(raised.value) == (
            'the metric "leave-one-out" needs a ground truth of single removals, and '
            '"leave-some-out" gives tuple; use "leave-one-out"'
        )
