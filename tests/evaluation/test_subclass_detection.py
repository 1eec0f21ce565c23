from __future__ import annotations

import re

import pytest

from hessinf.data import DatasetReader
from hessinf.evaluation import EvaluationError, SubclassDetection
from hessinf.evaluation.evaluation import evaluate
from hessinf.training import Trainer
from hessinf.training.lbfgs import Lbfgs
from tests.evaluation.fixed_scores import FixedScores, labelled, problem_with
from tests.evaluation.problems import problem_of

TRAIN = labelled([0, 0, 1, 1], [{"row": {"kind": kind}} for kind in ("p", "q", "r", "s")])
QUERIES = labelled([0, 0], [{"row": {"kind": kind}} for kind in ("p", "q")])


def test_the_finer_class_counts(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path)
    metric = SubclassDetection(field="row.kind", k=2)
    metric.check(problem)
    truth = metric.prepare(problem)
    scores = [[2, 1, 0, -1], [2, 1, 0, -1]]
    summary = metric.measure(FixedScores("x", scores), truth, problem).summary
    assert summary["value"] == 0.5
    assert summary["top_k"] == 0.5
    assert summary["chance"] == 0.25
    assert metric.describe(truth)["classes"] == 4


def test_a_field_that_is_not_there(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path)
    text = (
        'training example 0 (id "0") shows no field "row.kin"; there are: label, row.kind; did you '
        'mean "row.kind"?; the reader "grouped-labels" writes "finer_label"'
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        SubclassDetection(field="row.kin").check(problem)
    with pytest.raises(EvaluationError, match=r'^query 0 \(id "0"\) shows no field "row.kind"; '):
        SubclassDetection(field="row.kind").check(problem_with(TRAIN, labelled([0]), tmp_path))


def test_hidden_classes_are_found_with_grouped_labels(tmp_path):
    groups = {"even": ["class_0", "class_2"], "odd": ["class_1"]}
    reader = DatasetReader.from_config(
        {
            "type": "grouped-labels",
            "reader": {"type": "wine", "test_ratio": 0.2, "dtype": "float64"},
            "groups": groups,
        }
    )
    problem = problem_of(
        reader.read("train"),
        reader.read("test"),
        {"type": "mlp", "hidden_sizes": [6], "activation": "tanh", "dtype": "float64"},
        Trainer(optimizer=Lbfgs(), epochs=60, weight_decay=0.01),
        folder=tmp_path,
    )
    result = evaluate(problem, {"it": "subclass-detection"}, {"cosine": "gradient-cosine"})
    rows = result["metrics"]["it"]["rows"]
    assert result["metrics"]["it"]["truth"]["classes"] == 3
    assert rows["cosine"]["value"] > 0.8
    assert rows["random"]["chance"] == pytest.approx(1 / 3, abs=0.05)
