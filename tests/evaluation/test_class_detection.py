from __future__ import annotations

import re

import numpy as np
import pytest

from hessinf.data import Dataset, DatasetReader
from hessinf.evaluation import ClassDetection, EvaluationError, Metric
from hessinf.evaluation.evaluation import evaluate
from tests.evaluation.fixed_scores import FixedScores, concluded, labelled, problem_with
from tests.evaluation.problems import small_problem

TRAIN = labelled([0, 0, 1, 2])
QUERIES = labelled([0, 1, 0, 1], inputs=[0, 1, 2, 4])  # predicted as 0, 1, 2, 1
SCORES = [[4.0, 3, 2, 1], [4, 3, 2, 1], [1, 2, 4, 3], [1, 2, 3, 0]]


def test_the_value_is_the_share_of_queries_with_their_class_first(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path)
    metric = ClassDetection(k=2)
    metric.check(problem)
    truth = metric.prepare(problem)
    summary = metric.measure(FixedScores("x", SCORES), truth, problem).summary
    assert summary["value"] == pytest.approx((1 + 0 + 0 + 1) / 4)
    assert summary["top_k"] == pytest.approx((1 + 0 + 0 + 0.5) / 4)
    assert summary["chance"] == pytest.approx((0.5 + 0.25 + 0.5 + 0.25) / 4)
    assert (summary["queries"], summary["missing"], summary["models"]) == (4, 0, 1)
    assert summary["interval"][0] <= 0.5 <= summary["interval"][1]
    assert metric.describe(truth) == {
        "queries": 4,
        "filtered": 0,
        "k": 2,
        "classes": 3,
        "queries_without_examples": 0,
        "chance": pytest.approx(0.375),
    }


def test_lists_that_hold_everything_are_warned_of(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path)
    ClassDetection(k=3).check(problem)
    assert problem.warnings == []
    ClassDetection(k=4).check(problem)
    assert problem.warnings == [
        'class-detection: with k = 4, the column "top k" looks at all 4 training examples, and '
        "every row gets the same there; lower k"
    ]


def test_queries_that_are_predicted_wrongly_may_be_left_out(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path)
    metric = ClassDetection(only_correct=True)
    truth = metric.prepare(problem)
    summary = metric.measure(FixedScores("x", SCORES), truth, problem).summary
    assert summary["value"] == pytest.approx(2 / 3)
    assert summary["queries"] == 3
    assert metric.describe(truth)["filtered"] == 1


def test_where_no_query_is_left_there_is_no_value(tmp_path):
    problem = problem_with(TRAIN, labelled([0, 1], inputs=[1, 0]), tmp_path)
    rows = [FixedScores(name, SCORES[:2]) for name in ("x", "random")]
    judgements, conclusion = concluded(ClassDetection(only_correct=True), rows, problem)
    for judgement in judgements.values():
        assert judgement.summary["value"] is None
        assert judgement.summary["interval"] is None
        assert judgement.summary["queries"] == 0
    assert conclusion.notes == (
        "no query is looked at (2 were left out): there is no number, which is not the same as 0.",
    )
    assert conclusion.comparisons == ()


def test_a_class_without_training_examples_counts_as_not_found(tmp_path):
    problem = problem_with(labelled([0, 0, 1]), labelled([2, 0]), tmp_path)
    metric = ClassDetection()
    truth = metric.prepare(problem)
    assert metric.describe(truth)["queries_without_examples"] == 1
    row = FixedScores("x", np.eye(2, 3))
    assert metric.measure(row, truth, problem).summary["value"] <= 0.5


def test_models_are_averaged_first(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path, models=2)
    metric = ClassDetection()
    truth = metric.prepare(problem)
    backwards = np.array(SCORES)[:, ::-1]
    both = metric.measure(FixedScores("x", SCORES, backwards), truth, problem).summary
    each = [metric.measure(FixedScores("x", s), truth, problem) for s in (SCORES, backwards)]
    assert both["value"] == pytest.approx(np.mean([x.summary["value"] for x in each]))
    assert both["models"] == 2


def test_rows_are_compared_with_the_best_one_and_with_baselines(tmp_path):
    random = np.random.default_rng(0)
    queries = labelled(random.integers(0, 3, 60).tolist())
    train = labelled(random.integers(0, 3, 40).tolist())
    matches = (queries.targets[:, None] == train.targets).double().numpy()
    rows = [
        FixedScores("x", random.standard_normal((60, 40))),
        FixedScores("random", random.standard_normal((60, 40))),
        FixedScores("gradient-dot", matches + 0.1 * random.standard_normal((60, 40))),
    ]
    problem = problem_with(train, queries, tmp_path)
    judgements, conclusion = concluded(ClassDetection(), rows, problem)
    assert judgements["gradient-dot"].summary["value"] == 1
    assert [x["better"] for x in conclusion.comparisons] == ["gradient-dot"] * 2
    assert conclusion.notes[0].startswith('no method here is surely better than "random"; the best')
    assert conclusion.notes[1].startswith('"gradient-dot" does better than every method here; the')


def test_a_method_on_real_data(tmp_path):
    problem = small_problem(tmp_path)
    result = evaluate(problem, {"it": "class-detection"}, {"ggn": {"type": "ggn", "damping": 0.01}})
    rows = result["metrics"]["it"]["rows"]
    assert rows["ggn"]["value"] >= 0.9
    assert rows["random"]["value"] < 0.7
    assert rows["random"]["chance"] == pytest.approx(1 / 3, abs=0.1)


def test_what_has_no_classes_is_refused(tmp_path):
    reader = DatasetReader.from_config("diabetes")
    data = reader.read("test")
    text = (
        "class-detection compares classes, and the training data have numbers for targets: it is "
        "for classifications"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        ClassDetection().check(problem_with(data, data, tmp_path))
    several = Dataset.from_columns(QUERIES.columns.inputs, QUERIES.targets[:, None].repeat(1, 2))
    text = (
        "class-detection compares classes, and the test data have several labels each: it is for "
        "classifications"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        ClassDetection().check(problem_with(TRAIN, several, tmp_path))


def test_it_is_made_from_a_config():
    metric = Metric.from_config({"type": "class-detection", "k": 3, "resamples": 200})
    assert (metric.k, metric.only_correct, metric.resamples) == (3, False, 200)
