from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from hessinf.evaluation import EvaluationError, Metric, evaluate
from hessinf.evaluation.predictions import losses
from hessinf.registry import ConfigError
from tests.evaluation.counterfactuals import mislabelled_problem, regression_problem

CONFIG = {"type": "data-cleaning", "shares": [0.05, 0.1], "repeats": 3}


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return mislabelled_problem(tmp_path_factory.mktemp("mislabelled"))


def knows(problem) -> np.ndarray:
    """Scores that know which labels are wrong."""
    scores = np.zeros((len(problem.queries), len(problem.train)))  # [Q, N]
    scores[:, list(problem.train.flipped)] = -1
    return scores


@pytest.fixture(scope="module")
def results(problem):
    scores = knows(problem)
    return evaluate(problem, {"m": CONFIG}, {"knows": scores, "negated": -scores})["metrics"]["m"]


def test_dropping_wrong_labels_helps(problem, results):
    rows = results["rows"]
    assert len(problem.train.flipped) >= 12
    assert rows["knows"]["interval"][0] > 0
    assert rows["negated"]["value"] < rows["knows"]["interval"][0]
    assert abs(rows["random"]["value"]) < rows["knows"]["value"] / 2
    assert [point["wrong_labels"] for point in rows["knows"]["curve"]] == [6, 12]
    assert [point["wrong_labels"] for point in rows["negated"]["curve"]] == [0, 0]
    assert rows["knows"]["best_share"] == 0.1
    assert rows["knows"]["best_interval_over_all"][0] > 0
    assert rows["knows"]["value"] == pytest.approx(
        np.mean([point["loss_gain"] for point in rows["knows"]["curve"]])
    )


def test_rows(results):
    assert set(results["rows"]) == {
        *("knows", "negated", "random", "gradient-dot", "loss", "gradient-norm")
    }
    pairs = {(entry["better"], entry["worse"]) for entry in results["comparisons"]}
    assert len(pairs) == 9, "all with the loss, and all with the gradient norm"
    assert all({"loss", "gradient-norm"} & set(pair) for pair in pairs)
    assert any('"loss"' in note for note in results["notes"]) == (
        ("knows", "loss") not in {pair for pair in pairs if sure(results, pair)}
    )


def sure(results, pair) -> bool:
    (found,) = (
        entry
        for entry in results["comparisons"]
        if (entry["better"], entry["worse"]) == tuple(pair)
    )
    return found["interval"][0] > 0


def test_the_halves_are_disjoint_and_complete(problem, results):
    truth = results["truth"]
    validation, test = set(truth["validation_queries"]), set(truth["test_queries"])
    assert not validation & test
    assert validation | test == set(range(len(problem.queries)))
    assert len(validation) == len(test) == 30
    assert truth["dropped"] == [6, 12]
    assert len(truth["random_dropped"]) == 2
    assert truth["random_dropped"][0]["loss"] > 0


def test_the_test_half_has_no_say(problem):
    """Whatever is said of queries that judge, the same examples are dropped."""
    metric = Metric.from_config(CONFIG)
    truth = metric.prepare(problem)
    scores = np.random.default_rng(0).normal(size=knows(problem).shape)
    other = scores.copy()
    other[truth.test] = 1e6 * np.random.default_rng(1).normal(size=other[truth.test].shape)
    spoilt = scores.copy()
    spoilt[truth.validation] *= -1
    found = evaluate(problem, {"m": metric}, {"a": scores, "b": other, "c": spoilt})
    rows = found["metrics"]["m"]["rows"]
    assert rows["a"] == rows["b"]
    assert rows["a"] != rows["c"]


def test_the_loss_row_drops_the_highest_losses(problem):
    row = evaluate(problem, {"m": CONFIG}, {})["metrics"]["m"]["rows"]["loss"]
    found = losses(problem.models[0].module, problem.train, problem.objective, problem.device)
    highest = set(np.argsort(-found)[:12].tolist())
    assert row["curve"][1]["wrong_labels"] == len(highest & set(problem.train.flipped))
    assert row["curve"][1]["wrong_labels"] > 6


def test_ranking_by_self_influence(problem):
    config = {**CONFIG, "rank_by": "self-influence"}
    found = evaluate(problem, {"m": config}, {"matrix": knows(problem), "ggn": "ggn"})
    metric = found["metrics"]["m"]
    assert metric["not_judged"] == ["matrix"], "a matrix says nothing of examples by themselves"
    assert metric["rows"]["ggn"]["curve"][1]["wrong_labels"] > 3, "by chance 1.2"


def test_says_when_nothing_helps(problem):
    scores = knows(problem)
    clean = replace(problem, train=problem.train.relabelled({}), store=problem.store)
    found = evaluate(clean, {"m": CONFIG}, {"negated": -scores})["metrics"]["m"]
    assert found["notes"][0].startswith(
        "dropping what they find worst is no better than dropping random examples: "
    )
    assert '"negated"' in found["notes"][0]
    assert '"random"' not in found["notes"][0]


def test_clean_data_need_no_cleaning(tmp_path):
    problem = mislabelled_problem(tmp_path)
    problem = replace(problem, queries=problem.queries[:4])
    found = evaluate(problem, {"m": {**CONFIG, "shares": [0.01]}}, {"negated": -knows(problem)})[
        "metrics"
    ]["m"]
    assert found["truth"]["dropped"] == [1]
    assert found["notes"][-1] == (
        "no row finds examples without which models are better than with all of them, beyond what "
        "chance explains: these data need no cleaning, or more queries to show it"
    )


def test_regressions_are_judged_by_their_loss(tmp_path):
    problem = regression_problem(tmp_path)
    scores = np.random.default_rng(0).normal(size=(20, 80))
    found = evaluate(problem, {"m": CONFIG}, {"noise": scores})["metrics"]["m"]
    assert "accuracy_gain" not in found["rows"]["noise"]
    assert found["rows"]["noise"]["value"] == pytest.approx(
        np.mean([point["loss_gain"] for point in found["rows"]["noise"]["curve"]])
    )


def test_the_same_bytes_again(tmp_path):
    first, second = (
        json.dumps(
            evaluate(mislabelled_problem(tmp_path / name), {"m": {**CONFIG, "repeats": 1}}, {})
        )
        for name in ("one", "two")
    )
    assert first == second


@pytest.mark.parametrize("shares", [[], [0.1, 0.1], [0.2, 0.1]])
def test_shares_must_ascend(shares):
    text = f"shares is {shares}, expected shares of the training examples that ascend: [0.05, 0.1]"
    with pytest.raises(ConfigError, match=re.escape(text)):
        Metric.from_config({**CONFIG, "shares": shares})


def test_nothing_left_is_refused(problem):
    with pytest.raises(EvaluationError, match=r"^120 of 120 training examples cannot be removed"):
        Metric.from_config({**CONFIG, "shares": [0.999]}).check(problem)


def test_one_query_has_no_halves(problem):
    text = '"data-cleaning" divides the queries into two halves, and there is 1'
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        Metric.from_config(CONFIG).check(replace(problem, queries=problem.queries[:1]))


def test_warm_starts_are_refused(problem):
    trained = problem.models[0].module
    with pytest.raises(EvaluationError, match=r'^"data-cleaning" trains models from new'):
        Metric.from_config(CONFIG).check(replace(problem, make_module=lambda _: trained))
