from __future__ import annotations

import json

import numpy as np
import pytest

from hessinf.evaluation import EvaluationError, Metric, evaluate
from tests.evaluation.counterfactuals import (
    FAR,
    planted_problem,
    planted_scores,
    regression_problem,
)

CONFIG = {"type": "query-loss-difference", "queries": 20, "share": FAR / 90, "repeats": 1}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    problem = planted_problem(tmp_path_factory.mktemp("planted"))
    scores = planted_scores(problem)
    return evaluate(problem, {"m": CONFIG}, {"knows": scores, "negated": -scores})["metrics"]["m"]


def test_losses_rise_without_what_queries_rest_on(results):
    rows, truth = results["rows"], results["truth"]
    assert truth["removed"] == FAR
    assert rows["knows"]["interval"][0] > 0
    assert rows["knows"]["value"] > 1
    assert abs(rows["negated"]["value"]) < 0.2
    assert abs(rows["random"]["value"]) < 0.2
    assert set(rows) == {"knows", "negated", "random", "gradient-dot"}
    for row in rows.values():
        from_random = truth["loss_random_removed"] - truth["loss_nothing_removed"]
        assert row["loss_change"] == pytest.approx(row["value"] + from_random, abs=1e-6)


def test_says_what_removes_nothing_that_counts(results):
    assert results["notes"] == [
        "removing the 10 most helpful examples raises the loss of 7 queries no more than removing "
        'as many random ones: "negated"'
    ]


def test_regressions(tmp_path):
    """Without the patients that the linear model says help most, its queries do worse."""
    config = {**CONFIG, "share": 0.1}
    first, second = (
        evaluate(regression_problem(tmp_path / name), {"m": config}, {"ggn": "ggn"})
        for name in ("one", "two")
    )
    rows = first["metrics"]["m"]["rows"]
    assert rows["ggn"]["value"] > 0
    assert rows["ggn"]["interval"][0] > 0
    assert rows["ggn"]["value"] > rows["random"]["value"]
    assert json.dumps(first) == json.dumps(second)


def test_removing_everything_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match=r"^90 of 90 training examples cannot be removed"):
        Metric.from_config({**CONFIG, "share": 0.999}).check(planted_problem(tmp_path))


def test_queries_are_drawn_once(tmp_path):
    problem = regression_problem(tmp_path)
    metric = Metric.from_config({**CONFIG, "queries": 5})
    places = metric.prepare(problem).chosen.places
    assert len(set(places)) == 5
    assert (np.diff(places) > 0).all()
    assert metric.prepare(problem).chosen.places.tolist() == places.tolist()
