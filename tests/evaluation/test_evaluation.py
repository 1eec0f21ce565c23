from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.baselines import baseline
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.evaluation import evaluate
from hessinf.evaluation.method_attribution import MethodAttribution
from hessinf.evaluation.metric import Conclusion, Judgement, Metric
from hessinf.evaluation.problem import Problem
from hessinf.evaluation.row_folder import row_folder
from hessinf.training import Trainer
from hessinf.training.lbfgs import Lbfgs
from tests.evaluation.problems import small_network_problem

EKFAC = {"type": "ekfac", "damping": 0.01}


class Mean(Metric):
    """The mean score; it says what it was asked, in order."""

    baselines = ("random",)
    columns = (("size", "N"),)

    def __init__(self) -> None:
        self.asked: list[str] = []

    def check(self, problem: Problem) -> None:
        self.asked.append("check")

    def prepare(self, problem: Problem) -> float:
        self.asked.append("prepare")
        return 2.0

    def describe(self, truth: Any) -> dict[str, Any]:
        return {"twice": truth}

    def measure(self, attribution: Attribution, truth: Any, problem: Problem) -> Judgement:
        self.asked.append(f"measure {attribution.name}")
        mean = attribution.scores().mean()
        return Judgement(
            {"value": mean, "interval": (mean, np.inf), "size": np.int64(3), "missing": np.nan},
            {"mean": mean},
        )

    def conclude(
        self, judgements: Mapping[str, Judgement], truth: Any, problem: Problem
    ) -> Conclusion:
        self.asked.append(f"conclude {' '.join(judgements)}")
        return Conclusion(({"better": "a", "worse": "b", "difference": 1.0},), ("mind this",))


class Ranking(Metric):
    """Looks at self-influence, which not every row has."""

    higher_is_better = False
    baselines = ("loss", "gradient-norm")

    def prepare(self, problem: Problem) -> None:
        problem.warn("the ranking is odd")

    def measure(self, attribution: Attribution, truth: Any, problem: Problem) -> Judgement | None:
        values = attribution.self_influence()
        return None if values is None else Judgement({"value": float(values.sum())})


@pytest.fixture
def problem(tmp_path: Path) -> Problem:
    return small_network_problem(tmp_path, train_size=40, queries=6)


class TestEvaluate:
    def test_what_is_asked_in_which_order(self, problem: Problem) -> None:
        metric = Mean()
        stages: list[str] = []

        class Stage:
            def __init__(self, name: str) -> None:
                stages.append(name)

            def __enter__(self) -> None: ...

            def __exit__(self, *_: object) -> None: ...

        rows = {"ekfac": EKFAC, "given": np.ones((6, 40)) + np.eye(6, 40)}
        found = evaluate(problem, {"m": metric}, rows, stage=Stage)  # type: ignore[arg-type]
        assert metric.asked == [
            "check",
            "prepare",
            "measure ekfac",
            "measure given",
            "measure random",
            "conclude ekfac given random",
        ]
        assert stages == ["preparing m", "judging ekfac", "judging given", "judging random"]
        assert found["metrics"]["m"]["rows"]["given"] == {
            "value": 1 + 1 / 40,
            "interval": [1 + 1 / 40, "inf"],
            "size": 3,
            "missing": "nan",
        }
        assert found["metrics"]["m"]["truth"] == {"twice": 2.0}
        assert found["metrics"]["m"]["notes"] == ["mind this"]
        assert found["metrics"]["m"]["comparisons"][0]["difference"] == 1.0

    def test_baselines_are_shown_where_a_metric_asks_for_them(self, problem: Problem) -> None:
        rows = {"given": np.random.default_rng(0).random((6, 40)), "ekfac": EKFAC}
        found = evaluate(problem, {"mean": Mean(), "ranking": Ranking()}, rows)
        metrics = found["metrics"]
        assert list(metrics["mean"]["rows"]) == ["given", "ekfac", "random"]
        assert list(metrics["ranking"]["rows"]) == ["ekfac", "loss", "gradient-norm"]
        assert metrics["ranking"]["not_judged"] == ["given"]
        assert metrics["mean"]["not_judged"] == []
        assert metrics["ranking"]["higher_is_better"] is False
        assert found["warnings"] == ["the ranking is odd"]
        assert found["rows"]["ekfac"]["interpreter"] == EKFAC

    def test_the_problem_is_described(self, problem: Problem) -> None:
        found = evaluate(problem, {"mean": Mean()}, {})["problem"]
        (model,) = found["models"]
        assert model["sha256"] == problem.models[0].fingerprint
        assert "seconds" not in model["training"]
        assert model["train"]["loss"] == pytest.approx(model["training"]["loss"], rel=1e-5)
        assert 0.5 < model["queries"]["accuracy"] <= 1
        assert found["train"] == {"examples": 40, "sha256": problem.train.fingerprint()}

    def test_why_models_are_not_trained_together_is_told(self, problem: Problem) -> None:
        def told(problem: Problem) -> Any:
            return evaluate(problem, {"mean": Mean()}, {})["problem"]["retraining"]

        assert told(problem) == {"batched": True, "one_after_another_because": None}
        all_at_once = Trainer(optimizer=Lbfgs(), epochs=2)
        assert told(replace(problem, trainer=all_at_once)) == {
            "batched": False,
            "one_after_another_because": "the optimizer takes all examples at once and searches "
            "its own step lengths",
        }
        assert told(replace(problem, trainer=None)) is None

    def test_it_is_json_and_the_same_twice(self, problem: Problem, tmp_path: Path) -> None:
        texts = [
            json.dumps(evaluate(problem, {"m": Mean()}, {"e": EKFAC}, folder=folder))
            for folder in (None, tmp_path / "kept", tmp_path / "kept")
        ]
        assert texts[0] == texts[1] == texts[2]

    def test_a_baseline_of_the_users_own_is_not_shown_twice(self, problem: Problem) -> None:
        class Dots(Mean):
            baselines = ("gradient-dot",)

        found = evaluate(problem, {"m": Dots()}, {"gradient-dot": "gradient-dot"})
        assert list(found["metrics"]["m"]["rows"]) == ["gradient-dot"]

    @pytest.mark.parametrize("name", ["random", "loss", "gradient-dot"])
    def test_the_name_of_a_baseline_is_taken(self, problem: Problem, name: str) -> None:
        message = (
            f'a row is called "{name}", which is the name of a baseline; call it something else'
        )
        with pytest.raises(EvaluationError, match=f"^{message}$"):
            evaluate(problem, {"m": Mean()}, {name: EKFAC})

    def test_two_rows_of_one_name(self, problem: Problem) -> None:
        rows = [MethodAttribution("x", EKFAC, problem), baseline("random", problem)]
        rows[1].name = "x"
        message = 'two rows are called "x"; give each a name of its own'
        with pytest.raises(EvaluationError, match=f"^{message}$"):
            evaluate(problem, {"m": Mean()}, rows)

    def test_no_metric(self, problem: Problem) -> None:
        with pytest.raises(EvaluationError, match=r"^there is no metric; name one"):
            evaluate(problem, {}, {"x": EKFAC})

    def test_a_metric_that_cannot_be_applied_stops_all_before_anything_is_computed(
        self, problem: Problem
    ) -> None:
        class Refusing(Mean):
            def check(self, problem: Problem) -> None:
                raise EvaluationError("not here")

        first = Mean()
        with pytest.raises(EvaluationError, match=r"^not here$"):
            evaluate(problem, {"first": first, "second": Refusing()}, {"x": EKFAC})
        assert first.asked == ["check"]

    def test_models_are_looked_at_once_all_checks_without_them_are_done(
        self, problem: Problem
    ) -> None:
        seen = []

        class Looking(Mean):
            def check(self, problem: Problem) -> None:
                seen.append(("check", len(problem.models)))

            def check_models(self, problem: Problem) -> None:
                seen.append(("check_models", len(problem.models)))

        evaluate(problem, {"first": Looking(), "second": Looking()}, {})
        assert seen == [("check", 0), ("check", 0), ("check_models", 1), ("check_models", 1)]

    def test_what_a_check_warns_of_is_told(self, problem: Problem) -> None:
        class Warning(Mean):
            def check(self, problem: Problem) -> None:
                problem.warn("mind the check")

        assert evaluate(problem, {"m": Warning()}, {})["warnings"] == ["mind the check"]


@pytest.mark.parametrize(
    ("row", "folder"),
    [
        ("ekfac", "ekfac"),
        ("k / fac", "k %2F fac"),
        ("..", "%2E."),
        ("λ=0.1", "%CE%BB%3D0.1"),
        (".hidden", "%2Ehidden"),
        ("a%2Fb", "a%252Fb"),
    ],
)
def test_rows_of_any_name_have_a_folder_of_their_own(tmp_path: Path, row: str, folder: str) -> None:
    found = row_folder(tmp_path, row)
    assert found == tmp_path / folder
    assert found.resolve().parent == tmp_path.resolve()


def test_long_names_have_a_folder_that_file_systems_take(tmp_path: Path) -> None:
    names = [80 * "方", 79 * "方" + "法", 80 * "x"]
    folders = [row_folder(tmp_path, name) for name in names]
    assert len(set(folders)) == len(names)
    for folder in folders:
        folder.mkdir()
    assert folders[2].name == names[2]


def test_retraining_is_refused_with_its_reason(tmp_path: Path) -> None:
    def message(**changes: Any) -> str:
        problem = replace(small_network_problem(tmp_path, train_size=30, epochs=1), **changes)
        with pytest.raises(EvaluationError) as error:
            problem.require_trainer("the metric")
        return str(error.value)

    assert message(trainer=None) == (
        "the metric trains models again, and the config has no trainer: give one "
        '("trainer": {...}) and an untrained model, not an archive'
    )
    assert message(cannot_retrain="that is a warm start") == (
        "the metric trains models again, and that is a warm start"
    )
    assert re.match("[0-9a-f]{64}", small_network_problem(tmp_path).models[0].fingerprint)
