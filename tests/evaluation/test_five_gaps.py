"""The metric "five-gaps": from retraining to a method, for networks and for linear models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hessinf.evaluation import EvaluationError, FiveGaps, Metric, evaluate
from hessinf.evaluation.proximal_retraining import ProximalRetraining
from hessinf.registry import ConfigError
from hessinf.training.early_stopping import EarlyStopping
from tests.evaluation.problems import small_network_problem, small_problem


def judged(problem: Any, rows: Any, **arguments: Any) -> dict[str, Any]:
    metric = {"type": "five-gaps", "examples": 4, "damping": 0.01, **arguments}
    return evaluate(problem, {"gaps": metric}, rows)["metrics"]["gaps"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    problem = small_network_problem(tmp_path_factory.mktemp("gaps"))
    return judged(problem, {"ggn": {"type": "ggn", "damping": 0.3}, "ekfac": "ekfac"})


class TestNetwork:
    def test_the_exact_method_has_no_solver_gap(self, found: dict[str, Any]) -> None:
        """At the metric's damping, whatever its own is; its model is float32."""
        row = found["rows"]["ggn"]
        assert row["value"] < 1e-3
        assert row["pearson_linear"] > 0.99999
        assert row["solver_share"] < 1e-3

    def test_approximations_have_one(self, found: dict[str, Any]) -> None:
        values = {name: row["value"] for name, row in found["rows"].items()}
        assert values["ggn"] < values["ekfac"]
        assert not found["higher_is_better"]
        assert found["rows"]["ekfac"]["gaps"]["solver"]["mean_absolute"] > 0

    def test_gaps_of_the_truth_are_those_of_every_row(self, found: dict[str, Any]) -> None:
        for row in found["rows"].values():
            for name, gap in found["truth"]["gaps"].items():
                assert row["gaps"][name]["mean_absolute"] == gap["mean_absolute"]
            assert sum(gap["share"] for gap in row["gaps"].values()) == pytest.approx(1.0)

    def test_the_truth_says_how_exact_it_is(self, found: dict[str, Any]) -> None:
        assert found["truth"]["largest_gradient_norms"]["bregman"] <= 1e-8
        assert set(found["truth"]["mean_absolute_changes"]) == {
            "cold_start",
            "warm_start",
            "proximal",
            "bregman",
            "linear",
        }
        json.dumps(found, allow_nan=False)

    def test_a_sentence_names_the_largest(self, found: dict[str, Any]) -> None:
        gaps = found["truth"]["gaps"]
        largest = max(gaps, key=lambda name: gaps[name]["mean_absolute"])
        assert found["notes"] == [
            f"the largest gap before any method's own is {largest.replace('_', ' ')}: "
            f"{gaps[largest]['mean_absolute']:.3g} of loss on average, "
            f"{gaps[largest]['share']:.0%} of the gaps up to exact Gauss-Newton influence"
        ]


def test_models_are_stopped_by_validation_data_where_the_explained_one_was(
    tmp_path: Path,
) -> None:
    """Of labels that are all wrong: every epoch is worse, and the first ends the training."""
    problem = small_network_problem(tmp_path)
    labels = problem.queries.targets.tolist()
    wrong = problem.queries.relabelled({place: (x + 1) % 3 for place, x in enumerate(labels)})
    assert problem.trainer is not None
    trainer = replace(problem.trainer, early_stopping=EarlyStopping(patience=1))
    whole, stopped = (
        FiveGaps(examples=3, damping=0.3)
        .prepare(replace(problem, trainer=trainer, validation=data, recipe={"validation": name}))
        .changes
        for name, data in (("none", None), ("wrong", wrong))
    )
    assert np.abs(stopped["warm_start"]).max() < np.abs(whole["warm_start"]).max() / 2
    assert (stopped["proximal"] == whole["proximal"]).all()


class TestLinearModel:
    def test_trained_to_its_minimum(self, tmp_path: Path) -> None:
        """Only linearisation is left: what the curvature without i, and the query's own, add."""
        problem = small_problem(tmp_path, weight_decay=0.1)
        found = judged(problem, {"exact": {"type": "exact"}}, damping=0.0)
        gaps = {name: gap["mean_absolute"] for name, gap in found["truth"]["gaps"].items()}
        for name in ("warm_start", "proximity", "non_convergence"):
            assert gaps[name] < 1e-6 < 1e-4 < gaps["linearisation"], name
        assert found["rows"]["exact"]["value"] < 1e-6
        assert not problem.warnings

    def test_the_cold_start_is_leave_one_out(self, tmp_path: Path) -> None:
        problem = small_problem(tmp_path, weight_decay=0.1)
        metric = FiveGaps(examples=[5, 2], damping=0.0, repeats=2)
        stages = metric.prepare(problem)
        assert stages.indices.tolist() == [5, 2]
        truth = Metric.from_config({"type": "leave-one-out", "examples": [5, 2]}).prepare(problem)
        for name in ("cold_start", "warm_start", "proximal", "bregman"):
            np.testing.assert_allclose(stages.changes[name], truth.changes.T, atol=1e-6)

    def test_weights_that_are_not_at_a_minimum(self, tmp_path: Path) -> None:
        """Then retraining, the proximal and the Bregman model are far from each other."""
        problem = small_problem(tmp_path, weight_decay=0.1)
        next(problem.models[0].module.parameters()).data *= 0.5
        gaps = judged(problem, {"exact": {"type": "exact"}})["truth"]["gaps"]
        assert gaps["proximity"]["mean_absolute"] > 1e-3
        assert gaps["non_convergence"]["mean_absolute"] > 1e-3


class TestKept:
    def test_a_killed_run_goes_on_and_gives_the_same_bytes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        metric = FiveGaps(examples=2, damping=0.01)
        metric.prepare(small_network_problem(tmp_path / "straight", epochs=3))
        real, calls = ProximalRetraining.bregman, []

        def killed(self: ProximalRetraining):
            calls.append(1)
            if len(calls) == 1:
                raise KeyboardInterrupt
            return real(self)

        monkeypatch.setattr(ProximalRetraining, "bregman", killed)
        with pytest.raises(KeyboardInterrupt):
            metric.prepare(small_network_problem(tmp_path / "killed", epochs=3))
        monkeypatch.setattr(ProximalRetraining, "proximal", None)  # it was kept
        metric.prepare(small_network_problem(tmp_path / "killed", epochs=3))
        files = [
            {x.name: x.read_bytes() for x in (tmp_path / run / "ground_truth").iterdir()}
            for run in ("straight", "killed")
        ]
        assert files[0] == files[1]


class TestRefusals:
    def test_no_trainer(self, tmp_path: Path) -> None:
        problem = replace(small_network_problem(tmp_path, epochs=1), trainer=None)
        with pytest.raises(EvaluationError, match=r'^the metric "five-gaps" trains models again'):
            FiveGaps().check(problem)

    def test_models_that_begin_trained(self, tmp_path: Path) -> None:
        problem = small_network_problem(tmp_path)
        trained = problem.models[0].module
        warm = small_network_problem(tmp_path, make_module=lambda seed: trained)
        with pytest.raises(EvaluationError, match=r"five-gaps. trains models from new"):
            FiveGaps().check(warm)

    def test_examples_that_do_not_exist(self, tmp_path: Path) -> None:
        problem = small_network_problem(tmp_path, epochs=1)
        with pytest.raises(EvaluationError) as raised:
            FiveGaps(examples=[80]).check(problem)
        assert str(raised.value) == (
            '"five-gaps": examples names 80, and there are 80 training examples, 0 to 79'
        )

    def test_examples_twice(self) -> None:
        with pytest.raises(ConfigError, match="examples names 3 more than once"):
            Metric.from_config({"type": "five-gaps", "examples": [3, 3]})
