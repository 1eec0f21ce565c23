"""Leave-some-out files as ground truth: of any model, with a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hessinf.evaluation import (
    EvaluationError,
    GroundTruth,
    LeaveSomeOutFiles,
    LeaveSomeOutRetraining,
    evaluate,
)
from hessinf.evaluation.lso_layout import write_lso
from hessinf.models import Measurement
from tests.evaluation.problems import small_network_problem, small_problem

GGN = {"type": "ggn", "damping": 0}


def judged(problem: Any, rows: Any, **arguments: Any) -> dict[str, Any]:
    metric = {"type": "leave-some-out", "resamples": 200, **arguments}
    return evaluate(problem, {"lso": metric}, rows)["metrics"]["lso"]


class TestFiles:
    def written(self, tmp_path: Path, problem: Any) -> dict[str, Any]:
        for truth in LeaveSomeOutRetraining(alphas=(0.5, 0.7), subsets=20).produce(problem):
            write_lso(tmp_path / "lso", "wine", truth.alpha, truth.loss_diffs, truth.masks)
        return {
            "type": "leave-some-out-files",
            "path": str(tmp_path / "lso"),
            "name": "wine",
            "alphas": [0.5, 0.7],
            "repeats": 20,
        }

    def test_the_same_numbers_and_a_warning(self, tmp_path: Path) -> None:
        problem = small_problem(tmp_path, train_size=30)
        files = self.written(tmp_path, problem)
        first = judged(problem, {"ggn": GGN}, alphas=[0.5, 0.7], subsets=20)
        assert not problem.warnings
        again = judged(problem, {"ggn": GGN}, ground_truth=files)
        assert again["rows"] == first["rows"]
        assert problem.warnings == [
            "nobody can tell from a file of leave-some-out losses whether its models were trained "
            "afresh or began at the model trained on everything, how long, and with which seeds: "
            f"what is measured against 0.{share}_20r_1br.npz is worth what its author's word is"
            for share in (5, 7)
        ]

    def test_networks_are_welcome(self, tmp_path: Path) -> None:
        files = self.written(tmp_path, small_problem(tmp_path, train_size=30))
        problem = small_network_problem(tmp_path, train_size=30, epochs=2)
        assert judged(problem, {"ggn": "ggn"}, ground_truth=files)["rows"]["ggn"]["missing"] == 0

    def test_other_data_are_refused(self, tmp_path: Path) -> None:
        files = self.written(tmp_path, small_problem(tmp_path, train_size=30))
        problem = small_problem(tmp_path / "other", train_size=31)
        with pytest.raises(
            EvaluationError, match="is about 30 training examples, and there are 31"
        ):
            GroundTruth.from_config(files).check(problem)

    def test_measurements_other_than_the_loss(self, tmp_path: Path) -> None:
        problem = small_problem(
            tmp_path, train_size=30, measurement=Measurement.from_config("margin")
        )
        with pytest.raises(EvaluationError) as raised:
            LeaveSomeOutFiles(path="nowhere", name="wine").check(problem)
        assert str(raised.value) == (
            '"leave-some-out-files" holds differences of losses, and the measurement is "margin"; '
            'use the measurement "loss"'
        )
