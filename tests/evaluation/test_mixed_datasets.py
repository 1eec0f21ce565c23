from __future__ import annotations

import re

import numpy as np
import pytest

from hessinf.data import DatasetReader
from hessinf.evaluation import EvaluationError, Metric, MixedDatasetsDetection
from hessinf.evaluation.evaluation import evaluate
from hessinf.training import Trainer
from tests.evaluation.fixed_scores import FixedScores, labelled, problem_with
from tests.evaluation.problems import problem_of


def shown(*sources):
    return [{"source": source} for source in sources]


TRAIN = labelled([1, 1, 0, 1, 2], shown("x", "y", "y", "x", "y"))
# Predicted as 1, 0, 1: the first query is from the smaller source and right, the second wrong.
QUERIES = labelled([1, 1, 1], shown("x", "x", "y"), inputs=[1, 0, 4])
SCORES = np.array([[3.0, 2, 0, 1, 0], [0, 0, 0, 5, 0], [0, 9, 9, 0, 9]])


def test_queries_of_the_smaller_source_should_find_their_source(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path)
    metric = MixedDatasetsDetection()
    metric.check(problem)
    truth = metric.prepare(problem)
    summary = metric.measure(FixedScores("z", SCORES), truth, problem).summary
    assert summary["value"] == pytest.approx((1 + 2 / 3) / 2)
    assert summary["queries"] == 1
    assert truth.facts["queries_with_mark"] == 2
    assert truth.facts["end"] == "helpful"
    assert truth.arrays["marked"].tolist() == [True, False, False, True, False]


def test_all_queries_of_a_source_that_is_named(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path)
    metric = MixedDatasetsDetection(source="x", only_correct=False)
    truth = metric.prepare(problem)
    summary = metric.measure(FixedScores("z", SCORES), truth, problem).summary
    assert summary["queries"] == 2
    # The first is found at once; the other among four equal scores, which are one step.
    assert summary["value"] == pytest.approx(((1 + 2 / 3) / 2 + (1 + 2 / 5) / 2) / 2)
    other = MixedDatasetsDetection(source="y").prepare(problem)
    assert other.facts["queries"] == 1
    assert other.facts["marked"] == 3


def refused(train, queries, folder, text, **arguments):
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        MixedDatasetsDetection(**arguments).check(problem_with(train, queries, folder))


def test_data_of_one_source_are_refused(tmp_path):
    refused(
        labelled([0, 1], shown("x", "x")),
        QUERIES,
        tmp_path,
        "mixed-datasets looks at examples of one source, and 2 of 2 training examples are such; "
        "expected some and not all of them",
    )
    refused(
        TRAIN,
        labelled([0], shown("y")),
        tmp_path,
        "mixed-datasets looks at examples of one source, and 0 of 1 queries are such; expected one "
        "at least",
    )
    refused(
        TRAIN,
        QUERIES,
        tmp_path,
        'mixed-datasets: no training example is from "z" (there are: "x", "y")',
        source="z",
    )
    refused(
        labelled([0, 1]),
        QUERIES,
        tmp_path,
        'training example 0 (id "0") shows no field "source"; there are: row.0, label; the reader '
        '"mixed-datasets" writes "source"',
    )


def test_the_reader_makes_such_data(tmp_path):
    reader = DatasetReader.from_config(
        {
            "type": "mixed-datasets",
            "reader": {"type": "wine", "test_ratio": 0.3},
            "other": {"type": "synthetic", "features": 13, "train_size": 20, "test_size": 10},
            "label": "class_1",
        }
    )
    problem = problem_of(
        reader.read("train"),
        reader.read("test"),
        {"type": "mlp", "hidden_sizes": [8], "activation": "tanh"},
        Trainer(epochs=30, batch_size=16),
        folder=tmp_path,
    )
    result = evaluate(problem, {"it": "mixed-datasets"}, {"cosine": "gradient-cosine"})
    rows = result["metrics"]["it"]["rows"]
    assert result["metrics"]["it"]["truth"]["marked"] == 20
    assert rows["cosine"]["auroc"] > 0.7
    assert rows["random"]["auroc"] == pytest.approx(0.5, abs=0.15)


def test_it_is_made_from_a_config():
    metric = Metric.from_config({"type": "mixed-datasets", "source": "x", "only_correct": False})
    assert (metric.source, metric.only_correct, metric.field) == ("x", False, "source")
