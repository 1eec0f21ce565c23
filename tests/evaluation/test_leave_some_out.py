"""The metric "leave-some-out"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from hessinf.evaluation import (
    EvaluationError,
    LeaveSomeOutRetraining,
    Metric,
    evaluate,
)
from hessinf.registry import ConfigError
from tests.evaluation.problems import small_problem

GGN = {"type": "ggn", "damping": 0}


def judged(problem: Any, rows: Any, **arguments: Any) -> dict[str, Any]:
    metric = {"type": "leave-some-out", "resamples": 200, **arguments}
    return evaluate(problem, {"lso": metric}, rows)["metrics"]["lso"]


class TestMetric:
    def test_numbers_of_scipy(self, tmp_path: Path) -> None:
        problem = small_problem(tmp_path, train_size=30)
        scores = np.random.default_rng(0).standard_normal((12, 30))
        found = judged(problem, {"noise": scores, "ggn": GGN}, alphas=[0.5, 0.7], subsets=20)
        truths = LeaveSomeOutRetraining(alphas=(0.5, 0.7), subsets=20).produce(problem)
        row = found["rows"]["noise"]
        expected = []
        for truth in truths:
            sums = scores @ truth.masks.T  # [Q, m]
            spearmans = [
                stats.spearmanr(sums[query], -truth.loss_diffs[:, query]).statistic
                for query in range(12)
            ]
            expected.append(np.mean(spearmans))
            assert row["by_alpha"][repr(truth.alpha)]["value"] == pytest.approx(expected[-1])
        assert row["value"] == pytest.approx(np.mean(expected))
        good = found["rows"]["ggn"]
        assert good["value"] > 0.8
        assert good["pearson"] > 0.5
        assert good["interval"][0] < good["value"] < good["interval"][1]
        order = [one["better"] for one in found["comparisons"]]
        assert order[0] == "ggn"

    def test_helpful_is_positive(self, tmp_path: Path) -> None:
        problem = small_problem(tmp_path, train_size=30)
        (truth,) = LeaveSomeOutRetraining(alphas=(0.5,), subsets=20).produce(problem)
        mean = truth.loss_diffs.mean(axis=0)
        own = -(truth.loss_diffs - mean).T @ (truth.masks - 0.5)  # [Q, N]: members of good subsets
        rows = judged(problem, {"good": own, "bad": -own}, alphas=[0.5], subsets=20)["rows"]
        assert rows["good"]["value"] > 0.5
        assert rows["bad"]["value"] == pytest.approx(-rows["good"]["value"])

    def test_arguments_said_twice(self) -> None:
        with pytest.raises(
            ConfigError,
            match="alphas and subsets and ground_truth are both given; give them inside",
        ):
            Metric.from_config(
                {
                    "type": "leave-some-out",
                    "alphas": [0.5],
                    "subsets": 3,
                    "ground_truth": "leave-some-out",
                }
            )

    def test_other_ground_truths(self, tmp_path: Path) -> None:
        metric = Metric.from_config({"type": "leave-some-out", "ground_truth": "leave-one-out"})
        problem = small_problem(tmp_path, train_size=10)
        with pytest.raises(EvaluationError, match=r'^the metric "leave-some-out" needs'):
            metric.check(problem)  # before anything is trained
        with pytest.raises(EvaluationError) as raised:
            metric.prepare(problem)
        assert str(raised.value) == (
            'the metric "leave-some-out" needs differences of losses, and "leave-one-out" gives '
            'other things; use "leave-some-out", or the metric "lds"'
        )
