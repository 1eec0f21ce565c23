from __future__ import annotations

import re

import numpy as np
import pytest

from hessinf.data import DatasetReader
from hessinf.evaluation import EvaluationError, ShortcutDetection
from hessinf.evaluation.evaluation import evaluate
from hessinf.models import Measurement
from hessinf.training import Trainer
from tests.evaluation.fixed_scores import FixedScores, concluded, labelled, problem_with
from tests.evaluation.problems import problem_of


def shown(*marks):
    return [{"shortcut": mark} for mark in marks]


TRAIN = labelled([1, 1, 0, 2], shown(True, True, False, False))
# Predicted as 1, 1, 1, 0, 1: looked at is the first query only. The second has no mark, the third
# is of the shortcut's class, the fourth was not misled; the fifth was.
QUERIES = labelled([0, 0, 1, 0, 2], shown(True, False, True, True, True), inputs=[1, 4, 7, 0, 10])
SCORES = np.array([[-3.0, -1, -2, 0], [9, 9, 9, 8], [9, 9, 9, 8], [9, 9, 9, 8], [-3, -4, 0, 1]])


def test_misled_queries_should_find_the_marked_examples_at_the_harmful_end(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path)
    metric = ShortcutDetection()
    metric.check(problem)
    truth = metric.prepare(problem)
    summary = metric.measure(FixedScores("x", SCORES), truth, problem).summary
    # Found at places 1 and 3 for the first query, at 1 and 2 for the last one.
    assert summary["value"] == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)
    assert summary["auroc"] == pytest.approx((3 / 4 + 1) / 2)
    assert (summary["queries"], summary["missing"]) == (2, 0)
    assert metric.describe(truth) == {
        "queries": 2,
        "filtered": 3,
        "marked": 2,
        "examples": 4,
        "queries_with_mark": 3,
        "end": "harmful",
        "chance": summary["chance"],
    }
    assert 0.5 < summary["chance"] < 0.75
    turned = metric.measure(FixedScores("x", -SCORES), truth, problem).summary
    assert turned["auroc"] == pytest.approx(1 - summary["auroc"])


def test_the_end_follows_the_measurement_or_is_said(tmp_path):
    def end(metric, measurement):
        problem = problem_with(
            TRAIN, QUERIES, tmp_path, measurement=Measurement.from_config(measurement)
        )
        metric.check(problem)
        return metric.describe(metric.prepare(problem))["end"]

    assert end(ShortcutDetection(), "margin") == "harmful"
    assert end(ShortcutDetection(), "logit") == "harmful"
    assert end(ShortcutDetection(), {"type": "logit", "index": 1}) == "helpful"
    assert end(ShortcutDetection(end="helpful"), "loss") == "helpful"
    assert end(ShortcutDetection(end="harmful"), {"type": "logit", "index": 0}) == "harmful"
    text = (
        "shortcut-detection: the measurement is the logit of class 0, and the shortcut is of class "
        "1; measure that one, or the loss, or say which end is searched"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        end(ShortcutDetection(), {"type": "logit", "index": 0})


def test_where_no_query_was_misled_the_value_is_none_and_not_zero(tmp_path):
    queries = labelled([0, 2], shown(True, True), inputs=[0, 2])
    rows = [FixedScores(name, SCORES[:2]) for name in ("x", "random", "gradient-dot")]
    problem = problem_with(TRAIN, queries, tmp_path)
    judgements, conclusion = concluded(ShortcutDetection(), rows, problem)
    for judgement in judgements.values():
        assert judgement.summary["value"] is None
        assert judgement.summary["interval"] is None
        assert judgement.summary["queries"] == 0
    assert conclusion.notes == (
        "no query is looked at (2 were left out): there is no number, which is not the same as 0.",
    )


def refused(train, queries, folder, text, **arguments):
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        ShortcutDetection(**arguments).check(problem_with(train, queries, folder))


def test_data_without_a_shortcut_are_refused(tmp_path):
    sought = "shortcut-detection looks at examples with the shortcut, and "
    none, every = shown(*[False] * 4), shown(*[True] * 4)
    refused(
        labelled([0, 0, 0, 1], none),
        QUERIES,
        tmp_path,
        f"{sought}0 of 4 training examples are such; expected some and not all of them",
    )
    refused(
        labelled([0, 0, 0, 0], every),
        QUERIES,
        tmp_path,
        f"{sought}4 of 4 training examples are such; expected some and not all of them",
    )
    refused(
        TRAIN,
        labelled([0, 1], shown(False, True)),
        tmp_path,
        f"{sought}0 of 2 queries are such; expected one at least",
    )
    refused(
        labelled([0, 1, 0, 1], shown(True, True, False, False)),
        QUERIES,
        tmp_path,
        "shortcut-detection: the training examples with the shortcut are of 2 classes "
        '("a", "b"), expected one, which the shortcut gives away',
    )
    refused(
        TRAIN,
        labelled([0, 1], shown(False, "yes")),
        tmp_path,
        "shortcut-detection: the field \"shortcut\" of a query is 'yes', expected true or false",
    )
    refused(
        labelled([0, 1]),
        QUERIES,
        tmp_path,
        'training example 0 (id "0") shows no field "mark"; there are: row.0, label; the reader '
        '"shortcut" writes "shortcut"',
        field="mark",
    )


def test_the_reader_makes_such_data(tmp_path):
    reader = DatasetReader.from_config(
        {
            "type": "shortcut",
            "reader": {"type": "wine", "test_ratio": 0.3},
            "label": "class_1",
            "features": [3],
            "value": 12.0,
            "query_share": 1.0,
        }
    )
    problem = problem_of(
        reader.read("train"),
        reader.read("test"),
        {"type": "mlp", "hidden_sizes": [8], "activation": "tanh"},
        Trainer(epochs=40, batch_size=16),
        folder=tmp_path,
    )
    result = evaluate(problem, {"it": "shortcut-detection"}, {"cosine": "gradient-cosine"})
    result = result["metrics"]["it"]
    assert result["truth"]["queries"] > 10
    rows = result["rows"]
    assert rows["cosine"]["value"] > 2 * rows["cosine"]["chance"]
    assert rows["cosine"]["auroc"] > 0.9
