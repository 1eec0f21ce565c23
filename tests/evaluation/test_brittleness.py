from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from hessinf.evaluation import EvaluationError, Metric, evaluate
from hessinf.evaluation.baselines import baseline
from hessinf.evaluation.removal_retraining import repeat_seed
from hessinf.registry import ConfigError
from hessinf.runtime.randomness import derive_seed
from tests.evaluation.counterfactuals import (
    FAR,
    planted_problem,
    planted_scores,
    regression_problem,
)
from tests.evaluation.problems import small_network_problem

CONFIG = {"type": "brittleness", "queries": 20, "removed": [2, FAR], "repeats": 1}


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return planted_problem(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def results(problem):
    scores = planted_scores(problem)
    rows = {"knows": scores, "negated": -scores, "permuted": np.roll(scores, 30, axis=1)}
    return evaluate(problem, {"brittleness": CONFIG}, rows)["metrics"]["brittleness"]


def test_finds_what_predictions_rest_on(results):
    rows = results["rows"]
    # Six of seven rest on the ten, the last on nothing in particular.
    assert rows["knows"]["value"] == pytest.approx(6 / 7)
    assert rows["knows"]["interval"][0] > 0.4
    assert rows["knows"]["flipped_2"] == 0, "eight of the ten are enough"
    for name in ("negated", "permuted", "random", "same-class-random"):
        assert rows[name]["value"] == 0, name
    assert rows["knows"]["curve"][-1]["margin_change"] < -2
    assert abs(rows["random"]["curve"][-1]["margin_change"]) < 1


def test_controls_are_always_there(results):
    assert set(results["rows"]) == {
        *("knows", "negated", "permuted"),
        *("random", "same-class-random", "gradient-dot"),
    }
    assert results["columns"] == [["flipped_2", "without 2"], ["flipped_10", "without 10"]]


def test_says_what_removes_nothing_that_counts(results):
    assert results["notes"] == [
        "0 of 7 queries flip when models are trained again on everything: so many are due to the "
        "seeds of training alone",
        "removing the 10 most helpful examples flips no more queries than removing as many random "
        'ones of the same class, as far as 7 queries can tell: "negated", "permuted", '
        '"gradient-dot"',
    ]
    pairs = {(entry["better"], entry["worse"]): entry for entry in results["comparisons"]}
    assert pairs["knows", "random"]["interval"][0] > 0
    assert pairs["knows", "same-class-random"]["difference"] == pytest.approx(6 / 7)
    assert len(pairs) == len(results["comparisons"])


def test_removing_nothing_flips_nothing_here(results):
    truth = results["truth"]
    assert truth["queries"] == list(range(7))
    assert truth["nothing_removed"]["flipped"] == 0
    assert truth["nothing_removed"]["interval"][1] > 0


def test_warns_where_a_class_is_emptied(problem):
    metric = {**CONFIG, "removed": [35]}
    found = evaluate(problem, {"m": metric}, {"knows": planted_scores(problem)})["metrics"]["m"]
    assert found["notes"][-1] == (
        "removing 35 examples can take most of a class away (the smallest has 40), and then any "
        "prediction of it flips: look at fewer as well"
    )


def test_same_class_random_removes_the_class_alone(problem):
    row = baseline("same-class-random", problem)
    scores = row.scores()
    same = (problem.queries.targets[:, None] == problem.train.targets[None]).numpy()
    assert (scores[same] > 0).all()
    assert (scores[~same] < 0).all()
    assert (row.scores() == scores).all()
    assert len(np.unique(np.abs(scores))) == scores.size
    other = (baseline("random", problem).scores() > 0) == same
    assert 0.3 < other.mean() < 0.7


def test_queries_are_drawn_among_those_that_are_right(tmp_path):
    problem = small_network_problem(tmp_path, epochs=2, queries=30)
    module = problem.models[0].module
    inputs = np.stack([instance.inputs.numpy() for instance in problem.queries])
    right = (
        module(problem.queries.columns.inputs).argmax(dim=1) == problem.queries.targets
    ).numpy()
    assert 5 < right.sum() < len(inputs), "the test needs some of both"
    metric = Metric.from_config({**CONFIG, "queries": 4})
    places = metric.prepare(problem).places
    assert len(places) == 4
    assert right[places].all()
    assert metric.prepare(problem).places.tolist() == places.tolist()
    everything = Metric.from_config({**CONFIG, "queries": 100}).prepare(problem).places
    assert everything.tolist() == np.flatnonzero(right).tolist()


def test_no_query_is_right(tmp_path):
    problem = planted_problem(tmp_path)
    others = {place: 1 - int(label) for place, label in enumerate(problem.queries.targets)}
    wrong = problem.queries.relabelled(others)
    text = (
        '"brittleness" looks at queries that the model puts into their class, and it does so for '
        "none of 7; train it better"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        Metric.from_config(CONFIG).prepare(replace(problem, queries=wrong))


def test_the_same_bytes_again(problem, tmp_path):
    rows = {"knows": planted_scores(problem)}
    first, second = (
        json.dumps(evaluate(planted_problem(tmp_path / name), {"b": CONFIG}, rows))
        for name in ("one", "two")
    )
    assert first == second


def test_retraining_has_seeds_of_its_own(problem):
    seeds = {repeat_seed(problem.seed, repeat) for repeat in range(5)}
    assert len(seeds) == 5
    assert not seeds & {problem.seed, derive_seed(problem.seed, "evaluation.model/1")}


@pytest.mark.parametrize(
    ("removed", "text"),
    [
        ([0, 20], "removed"),
        ([], "removed is [], expected numbers of examples that ascend: [20, 80]"),
        ([20, 20], "removed is [20, 20], expected numbers of examples that ascend"),
        ([40, 20], "removed is [40, 20], expected numbers of examples that ascend"),
    ],
)
def test_removing_none_is_a_config_error(removed, text):
    with pytest.raises(ConfigError, match=re.escape(text)):
        Metric.from_config({**CONFIG, "removed": removed})


def test_regressions_are_refused(tmp_path):
    text = (
        '"brittleness" counts queries whose predicted class changes, and these have no class; use '
        '"query-loss-difference", which looks at their losses'
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        Metric.from_config(CONFIG).check(regression_problem(tmp_path))


def test_removing_everything_is_refused(problem):
    text = '"brittleness": removed has 90, and there are 90 training examples; remove fewer'
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        Metric.from_config({**CONFIG, "removed": [90]}).check(problem)


def test_warm_starts_are_refused(tmp_path):
    problem = planted_problem(tmp_path)
    trained = problem.models[0].module
    with pytest.raises(EvaluationError, match=r'^"brittleness" trains models from new'):
        Metric.from_config(CONFIG).check(replace(problem, make_module=lambda _: trained))
