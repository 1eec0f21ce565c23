from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.method_attribution import MethodAttribution
from hessinf.evaluation.problem import Problem, ScoreModel
from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.ekfac import Ekfac
from hessinf.registry import Lazy
from tests.evaluation.problems import small_network_problem, small_problem

EKFAC = {"type": "ekfac", "damping": 0.01}


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return small_network_problem(tmp_path_factory.mktemp("problem"), models=2)


@pytest.fixture(scope="module")
def convex(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return small_problem(tmp_path_factory.mktemp("problem"))


def interpreter(problem: Problem, model: int = 0, **spec: Any) -> InfluenceInterpreter:
    return InfluenceInterpreter.from_config(
        spec,
        model=problem.models[model].module,
        train_data=problem.train,
        objective=problem.objective,
        weight_decay=problem.weight_decay,
    )


class Counted(MethodAttribution):
    """Counts how often an interpreter is made."""

    made = 0

    def _make(self, model: ScoreModel, damping: Any) -> InfluenceInterpreter:
        self.made += 1
        return super()._make(model, damping)


class TestNumbers:
    def test_scores_are_those_of_the_interpreter_for_each_model(self, problem: Problem) -> None:
        row = MethodAttribution("ekfac", EKFAC, problem)
        assert row.num_models == 2
        for model in (0, 1):
            found = row.scores(model)
            assert found.dtype == np.float64
            expected = interpreter(problem, model, **EKFAC).scores(problem.queries)
            np.testing.assert_array_equal(found, expected.astype(np.float64))
        assert not np.allclose(row.scores(0), row.scores(1))
        np.testing.assert_array_equal(row.scores_for(problem.models[1]), row.scores(1))

    @pytest.mark.parametrize(
        "method",
        [EKFAC, Lazy(Ekfac, damping=0.01), Lazy(Ekfac, spec={**EKFAC}, damping=0.01)],
        ids=["config", "lazy", "lazy with config"],
    )
    def test_a_method_can_be_given_in_each_way(self, problem: Problem, method: Any) -> None:
        row = MethodAttribution("x", method, problem)
        assert row.method_class is Ekfac
        assert row.spec["type"] == "ekfac"
        np.testing.assert_array_equal(row.scores(), MethodAttribution("y", EKFAC, problem).scores())

    @pytest.mark.parametrize(
        ("method", "fits"),
        [(EKFAC, 1), ({"type": "simple-influence", "damping": 1.0}, 2)],
        ids=["swept", "made anew"],
    )
    def test_scores_by_damping(self, problem: Problem, method: dict[str, Any], fits: int) -> None:
        row = Counted("row", method, problem)
        assert row.has_damping
        found = row.scores_by_damping([0.5, {"relative": 2.0}])
        assert row.made == fits
        for scores, damping in zip(found, [0.5, {"relative": 2.0}], strict=True):
            alone = interpreter(problem, **{**method, "damping": damping}).scores(problem.queries)
            np.testing.assert_allclose(scores, alone, rtol=2e-3, atol=1e-5)

    def test_a_method_without_damping_says_so(self, problem: Problem) -> None:
        row = MethodAttribution("cosine", "gradient-cosine", problem)
        assert not row.has_damping
        with pytest.raises(
            EvaluationError, match=r'^"cosine" has no damping that could be changed'
        ):
            row.scores_by_damping([0.1])

    def test_loss_changes_and_self_influence(self, convex: Problem) -> None:
        spec = {"type": "exact", "damping": 0.0}
        row = MethodAttribution("exact", spec, convex)
        exact = interpreter(convex, **spec)
        np.testing.assert_allclose(row.loss_changes(), exact.loss_changes(convex.queries))
        np.testing.assert_allclose(
            row.loss_changes(refined=True), exact.loss_changes(convex.queries, "newton-step")
        )
        np.testing.assert_array_equal(row.self_influence(), exact.self_influence())

    def test_methods_that_only_rank_predict_no_loss_changes(self, convex: Problem) -> None:
        row = MethodAttribution("dot", "gradient-dot", convex)
        assert row.loss_changes() is None
        assert row.loss_changes(refined=True) is None

    def test_of_other_measurements_no_loss_changes_follow(self, tmp_path: Path) -> None:
        from hessinf.models import Measurement

        margin = small_problem(
            tmp_path, train_size=20, queries=2, measurement=Measurement.from_config("margin")
        )
        assert MethodAttribution("exact", "exact", margin).loss_changes() is None
        assert MethodAttribution("exact", "exact", margin).loss_changes(refined=True) is None

    def test_a_failing_method_is_named(self, problem: Problem) -> None:
        row = MethodAttribution("mine", {"type": "ekfac", "memory_limit": 1e-9}, problem)
        with pytest.raises(EvaluationError, match=r'^"mine": '):
            row.scores()


class TestKept:
    def test_every_number_is_computed_once(self, problem: Problem, tmp_path: Path) -> None:
        row = Counted("row", EKFAC, problem, tmp_path / "row")
        for _ in range(2):
            row.scores()
            row.self_influence()
            row.loss_changes()
            row.scores_by_damping([0.1, 1.0])
        assert row.made == 1
        again = Counted("row", EKFAC, problem, tmp_path / "row")
        np.testing.assert_array_equal(again.scores(), row.scores())
        np.testing.assert_array_equal(again.self_influence(), row.self_influence())
        assert again.made == 0
        assert again.facts() == row.facts()
        assert again.facts()["applied_damping"] == 0.01

    def test_a_sweep_leaves_no_trace(self, problem: Problem) -> None:
        row, other = (MethodAttribution("row", EKFAC, problem) for _ in range(2))
        row.scores_by_damping([1.0, 10.0])
        np.testing.assert_array_equal(row.scores(), other.scores())

    def test_only_what_decides_them_is_a_reason_to_compute_again(
        self, problem: Problem, tmp_path: Path
    ) -> None:
        MethodAttribution("row", EKFAC, problem, tmp_path).scores()
        renamed = Counted("renamed", EKFAC, problem, tmp_path)
        renamed.scores()
        assert renamed.made == 0
        other = Counted("row", {**EKFAC, "damping": 0.02}, problem, tmp_path)
        other.scores()
        assert other.made == 1

    def test_files_say_what_decides_them(self, problem: Problem, tmp_path: Path) -> None:
        MethodAttribution("row", EKFAC, problem, tmp_path).scores()
        (array,) = tmp_path.glob("*.npy")
        record = json.loads(array.with_suffix(".json").read_text())
        assert record["decided_by"]["model"] == problem.models[0].fingerprint
        assert record["decided_by"]["method"] == EKFAC

    def test_a_broken_file_is_named(self, problem: Problem, tmp_path: Path) -> None:
        row = MethodAttribution("row", EKFAC, problem, tmp_path)
        row.scores()
        (array,) = tmp_path.glob("*.npy")
        array.write_bytes(array.read_bytes()[:100])
        message = f"{re.escape(str(array))} cannot be read .*; remove it, and it will be computed "
        with pytest.raises(EvaluationError, match=f"^{message}again$"):
            row.scores()

    def test_a_released_row_can_be_asked_again(self, problem: Problem) -> None:
        row = Counted("row", EKFAC, problem)
        row.scores()
        row.release()
        row.self_influence()
        assert row.made == 2


def test_every_method_that_changes_damping_comes_back_to_its_own(convex: Problem) -> None:
    """A row asks for scores before or after a sweep: they have to be the same bytes."""
    from hessinf.interpreters.method_hooks import overrides
    from hessinf.registry.signatures import constructor_arguments

    tried = 0
    for name in InfluenceInterpreter.list_available():
        cls = InfluenceInterpreter.by_name(name)
        if not overrides(cls, "change_damping") or "damping" not in constructor_arguments(cls):
            continue
        tried += 1
        before, after = (
            MethodAttribution(name, {"type": name, "damping": 0.05}, convex) for _ in range(2)
        )
        first = before.scores()
        after.scores_by_damping([0.5])
        np.testing.assert_array_equal(after.scores(), first, err_msg=name)
    assert tried >= 5
