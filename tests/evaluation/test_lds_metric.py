from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hessinf.evaluation import LinearDatamodelingScore, Metric, Problem, SubsetRetraining, evaluate
from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.lds import linear_datamodeling_scores
from hessinf.evaluation.metric import Judgement
from hessinf.evaluation.noise_ceiling import UNKNOWN
from hessinf.registry import ConfigError
from tests.evaluation.problems import small_network_problem, small_problem

SMALL: dict[str, Any] = {"type": "lds", "subsets": 20, "resamples": 100}

TRUTH: dict[str, Any] = {"subsets": 30, "repeats": 2}
"""Of the convex problem: trained once for all tests."""


@pytest.fixture(scope="module")
def convex(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return small_problem(tmp_path_factory.mktemp("convex"), queries=16)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return small_network_problem(tmp_path_factory.mktemp("network"), queries=16, models=2)


class Grid(Attribution):
    """Scores at any damping: those given, with more noise the farther the damping is from 0.1."""

    def __init__(self, name: str, *scores: np.ndarray) -> None:
        super().__init__(name, len(scores))
        self.given = scores

    def scores(self, model: int = 0) -> np.ndarray:
        return self.given[model]

    @property
    def has_damping(self) -> bool:
        return True

    def scores_by_damping(self, dampings: Any, model: int = 0) -> np.ndarray:
        noise = np.random.default_rng(model).normal(size=self.given[model].shape)
        scale = self.given[model].std()
        return np.stack(
            [
                self.given[model] + 3 * scale * abs(np.log10(damping) + 1) * noise
                for damping in dampings
            ]
        )  # [D, Q, N]

    def facts(self) -> dict[str, Any]:
        return {"damping": 0.7}


class Plain(Attribution):
    """One matrix."""

    def __init__(self, name: str, scores: np.ndarray) -> None:
        super().__init__(name)
        self.given = scores

    def scores(self, model: int = 0) -> np.ndarray:
        return self.given


def additive_scores(problem: Problem, metric: Metric) -> np.ndarray:
    """Fit scores ``[Q, N]`` to the truth, by ridge regression: they predict it well."""
    truth = metric.prepare(problem)
    one = truth[next(iter(truth))].subsets
    masks = one.masks - one.masks.mean()  # [m, N]
    values = one.means - one.means.mean(axis=0)  # [m, Q]
    gram = masks @ masks.T + 0.1 * np.eye(len(masks))  # [m, m]
    scores: np.ndarray = (masks.T @ np.linalg.solve(gram, values)).T
    return scores


@pytest.fixture(scope="module")
def results(convex: Problem) -> dict[str, Any]:
    found = evaluate(
        convex,
        {"lds": {**SMALL, **TRUTH}},
        {"exact": {"type": "exact", "damping": 0.0}},
    )
    lds: dict[str, Any] = found["metrics"]["lds"]
    return lds


class TestConvex:
    def test_exact_influence_is_close_to_the_ceiling_and_random_is_not(
        self, results: dict[str, Any]
    ) -> None:
        rows = results["rows"]
        assert list(rows) == ["exact", "random", "gradient-dot"]
        assert rows["exact"]["value"] > 0.85
        assert abs(rows["random"]["value"]) < 0.15
        assert rows["exact"]["interval"][0] > rows["random"]["interval"][1]
        # A strictly convex model has one minimum: repeats agree but for rounding.
        assert results["truth"]["by_alpha"]["0.5"]["noise_ceiling"]["attainable"] > 0.99
        better = [(c["better"], c["worse"], c["alpha"]) for c in results["comparisons"]]
        assert ("exact", "random", 0.5) in better
        assert ("exact", "gradient-dot", 0.5) in better

    def test_results_are_json(self, results: dict[str, Any]) -> None:
        assert json.loads(json.dumps(results, allow_nan=False)) == results

    def test_what_was_done_is_said(self, results: dict[str, Any]) -> None:
        truth = results["truth"]
        assert truth["alpha"] == 0.5
        assert (truth["queries"], truth["queries_tuned_on"]) == (16, 0)
        assert truth["reported_on"] == "all queries"
        assert truth["by_alpha"]["0.5"]["members"] == 30
        assert truth["by_alpha"]["0.5"]["subsets"] == 30
        assert "noise" not in truth

    def test_planted_errors_are_seen(self, convex: Problem) -> None:
        metric = LinearDatamodelingScore(**TRUTH, resamples=100)
        scores = additive_scores(convex, metric)
        order = np.random.default_rng(0).permutation(scores.shape[1])
        found = evaluate(
            convex,
            {"lds": metric},
            {"good": scores, "negated": -scores, "permuted": scores[:, order]},
        )["metrics"]["lds"]
        assert found["rows"]["good"]["value"] > 0.8
        assert found["rows"]["negated"]["value"] == -found["rows"]["good"]["value"]
        notes = found["notes"]
        assert any(note.startswith('the LDS of "negated" is negative') for note in notes)
        without_use = [note for note in notes if "random scores: the difference is" in note]
        assert [note.split('"')[1] for note in without_use] == ["permuted"]

    def test_the_row_is_that_of_the_pure_function(self, convex: Problem) -> None:
        metric = LinearDatamodelingScore(**TRUTH, resamples=100)
        truth = metric.prepare(convex)
        scores = np.random.default_rng(0).normal(size=(16, 60))
        found = metric.measure(Plain("file", scores), truth, convex)
        one = truth[0.5].subsets
        expected = linear_datamodeling_scores(scores, one.masks, one.means)
        np.testing.assert_array_equal(found.arrays["per_query/0.5"], expected)
        assert found.summary["value"] == pytest.approx(expected.mean())


class TestDampings:
    def measured(self, problem: Problem, row: Attribution, **more: Any) -> Judgement:
        metric = LinearDatamodelingScore(**TRUTH, resamples=100, **more)
        return metric.measure(row, metric.prepare(problem), problem)

    def test_the_damping_is_chosen_on_some_queries_and_reported_on_others(
        self, convex: Problem
    ) -> None:
        metric = LinearDatamodelingScore(
            **TRUTH, resamples=100, dampings=(1e-3, 1e-1, 1.0), tune_share=0.25
        )
        scores = additive_scores(convex, metric)
        truth = metric.prepare(convex)
        one = truth[0.5]
        assert (len(one.tuning), len(one.reported)) == (4, 12)
        assert sorted([*one.tuning, *one.reported]) == list(range(16))
        found = metric.measure(Grid("grid", scores), truth, convex)
        assert found.summary["damping"] == 0.1
        assert [point["damping"] for point in found.summary["damping_curve"]] == [1e-3, 0.1, 1.0]
        best = max(point["value"] for point in found.summary["damping_curve"])
        tuned = linear_datamodeling_scores(scores, one.subsets.masks, one.subsets.means)
        assert best == pytest.approx(tuned[one.tuning].mean())
        assert found.summary["value"] == pytest.approx(tuned[one.reported].mean())
        described = metric.describe(truth)
        assert (described["queries"], described["queries_tuned_on"]) == (12, 4)
        assert described["reported_on"] == "the queries that no damping was chosen on"

    def test_rows_without_a_damping_are_reported_on_the_same_queries(self, convex: Problem) -> None:
        metric = LinearDatamodelingScore(**TRUTH, resamples=100, dampings=(1e-2, 1e-1))
        truth = metric.prepare(convex)
        one = truth[0.5]
        scores = np.random.default_rng(0).normal(size=(16, 60))
        found = metric.measure(Plain("file", scores), truth, convex)
        each = linear_datamodeling_scores(scores, one.subsets.masks, one.subsets.means)
        np.testing.assert_array_equal(found.arrays["per_query/0.5"], each[one.reported])
        assert found.summary["damping"] is None
        assert found.summary["damping_curve"] is None

    def test_without_a_grid_rows_keep_their_own(self, convex: Problem) -> None:
        found = self.measured(convex, Grid("grid", np.random.default_rng(0).normal(size=(16, 60))))
        assert found.summary["damping"] == 0.7
        assert found.summary["damping_curve"] is None
        assert len(found.arrays["per_query/0.5"]) == 16

    def test_which_queries_are_tuned_on_depends_on_the_seed(
        self, convex: Problem, tmp_path: Path
    ) -> None:
        metric = LinearDatamodelingScore(dampings=(0.1, 1.0))
        here = metric._divide(convex)
        there = metric._divide(Problem(**{**vars(convex), "seed": 1}))
        assert not np.array_equal(here[0], there[0])
        assert np.array_equal(here[0], metric._divide(convex)[0])

    @pytest.mark.parametrize("share", [0, 1])
    def test_tuning_on_what_is_reported_is_refused(self, share: float) -> None:
        text = (
            f"tune_share {share} with dampings would choose each method's damping on the queries "
            "that are reported, or on none; give a share between 0 and 1"
        )
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            LinearDatamodelingScore(dampings=(0.1,), tune_share=share)
        LinearDatamodelingScore(tune_share=share)  # without a grid it means nothing

    def test_too_few_queries_are_refused(self, tmp_path: Path) -> None:
        problem = small_problem(tmp_path, queries=1)
        text = (
            "tune_share 0.5 of 1 queries leaves 0 to choose dampings on and 1 to report on, "
            "expected one of each at least; take more queries, or give no dampings"
        )
        with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
            LinearDatamodelingScore(dampings=(0.1,)).check(problem)


class TestModels:
    def test_value_is_the_mean_over_models_and_the_ensemble_stands_beside_it(
        self, network: Problem
    ) -> None:
        metric = LinearDatamodelingScore(subsets=20, resamples=100)
        truth = metric.prepare(network)
        random = np.random.default_rng(0)
        good = additive_scores(network, metric)
        models = [good + 3 * good.std() * random.normal(size=good.shape) for _ in range(2)]
        found = metric.measure(Grid("two", *models), truth, network).summary
        one = truth[0.5].subsets
        each = [linear_datamodeling_scores(s, one.masks, one.means).mean() for s in models]
        assert found["per_model"] == pytest.approx(each)
        assert found["value"] == pytest.approx(np.mean(each))
        together = linear_datamodeling_scores(sum(models), one.masks, one.means).mean()
        assert found["ensemble"]["value"] == pytest.approx(together, abs=1e-3)
        assert found["ensemble"]["value"] > max(each)
        assert found["ensemble"]["missing"] == 0

    def test_every_alpha_has_a_value_and_its_own_comparisons(self, network: Problem) -> None:
        rows = {"noise": np.random.default_rng(0).normal(size=(16, 80))}
        found = evaluate(network, {"lds": {**SMALL, "alphas": [0.5, 0.25]}}, rows)["metrics"]["lds"]
        row = found["rows"]["noise"]
        assert list(row["by_alpha"]) == ["0.5", "0.25"]
        assert row["value"] == row["by_alpha"]["0.5"]["value"] != row["by_alpha"]["0.25"]["value"]
        assert [found["truth"]["by_alpha"][key]["members"] for key in ("0.5", "0.25")] == [40, 20]
        assert [c["alpha"] for c in found["comparisons"]] == [0.5] * 3 + [0.25] * 3

    def test_one_model_has_no_ensemble(self, network: Problem) -> None:
        metric = LinearDatamodelingScore(subsets=20, resamples=100)
        row = Plain("file", np.random.default_rng(0).normal(size=(16, 80)))
        found = metric.measure(row, metric.prepare(network), network).summary
        assert found["ensemble"] is None
        assert len(found["per_model"]) == 1

    def test_methods_are_scored_for_every_model(self, network: Problem, tmp_path: Path) -> None:
        found = evaluate(
            network,
            {"lds": {**SMALL, "dampings": [1e-3, 1e-2, 1e-1]}},
            {"ekfac": {"type": "ekfac"}},
            folder=tmp_path,
        )["metrics"]["lds"]
        row = found["rows"]["ekfac"]
        assert len(row["per_model"]) == 2
        assert row["value"] == pytest.approx(np.mean(row["per_model"]))
        assert row["damping"] in (1e-3, 1e-2, 1e-1)
        assert row["ensemble"]["damping"] in (1e-3, 1e-2, 1e-1)
        assert len(found["rows"]["random"]["per_model"]) == 2
        assert UNKNOWN in found["notes"]
        assert found["truth"]["noise"] == UNKNOWN
        assert found["truth"]["by_alpha"]["0.5"]["noise_ceiling"] is None

    def test_twice_the_same_bytes(self, tmp_path: Path) -> None:
        def run(folder: Path) -> str:
            problem = small_network_problem(folder, queries=8, epochs=10)
            rows = {"ekfac": {"type": "ekfac"}}
            return json.dumps(evaluate(problem, {"lds": SMALL}, rows, folder=folder / "rows"))

        first = run(tmp_path / "one")
        assert run(tmp_path / "two") == first
        assert run(tmp_path / "one") == first  # with the ground truth that was kept


class TestConfig:
    def test_defaults(self) -> None:
        metric = Metric.from_config("lds")
        assert isinstance(metric, LinearDatamodelingScore)
        assert metric.baselines == ("random", "gradient-dot")
        source = metric._source
        assert (source.alphas, source.subsets, source.repeats) == ((0.5,), 100, 1)

    def test_counts_may_stand_in_the_ground_truth(self) -> None:
        metric = Metric.from_config(
            {"type": "lds", "ground_truth": {"type": "subset-retraining", "repeats": 4}}
        )
        assert metric._source.repeats == 4

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ({"alphas": [1.5]}, "expected float > 0 and < 1, found 1.5 (float)"),
            ({"subsets": 2}, "expected int >= 3, found 2 (int)"),
            (
                {"repeats": 3, "subsets": 9, "ground_truth": {}},
                "subsets, repeats and ground_truth are both given; give them inside ground_truth",
            ),
            ({"dampings": []}, "dampings is empty; give some, or null to keep each method's own"),
            ({"alphas": []}, "alphas is empty, expected the share of examples in a subset: [0.5]"),
            ({"ground_truth": "leave-one-out"}, "leave-one-out"),
        ],
    )
    def test_what_cannot_be_is_refused(self, arguments: dict[str, Any], text: str) -> None:
        with pytest.raises(ConfigError, match=re.escape(text)):
            Metric.from_config({"type": "lds", **arguments})

    def test_problems_without_a_trainer_are_refused(self, convex: Problem) -> None:
        with pytest.raises(EvaluationError, match="trains models again, and the config has no"):
            LinearDatamodelingScore().check(Problem(**{**vars(convex), "trainer": None}))

    def test_truth_of_other_data_is_refused(self, convex: Problem, network: Problem) -> None:
        class Fixed(SubsetRetraining):
            def produce(self, problem: Problem) -> Any:
                return super().produce(network)

        metric = LinearDatamodelingScore(ground_truth=Fixed(subsets=20))
        text = "the ground truth has 80 training examples, the problem has 60: it was made with"
        with pytest.raises(EvaluationError, match=re.escape(text)):
            metric.prepare(convex)
