from __future__ import annotations

import numpy as np
import pytest

from hessinf.evaluation import Metric, TopKOverlap
from hessinf.evaluation.top_lists import jackknife_interval, random_distinct, top_overlap
from tests.evaluation.fixed_scores import FixedScores, concluded, labelled, problem_with

TRAIN, QUERIES = labelled([0, 1, 2] * 10), labelled([0, 1, 2, 0])


def scores(seed):
    return np.random.default_rng(seed).standard_normal((4, 30))


def test_the_value_is_the_share_of_distinct_examples(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path, models=2)
    metric = TopKOverlap(k=5)
    metric.check(problem)
    assert problem.warnings == []
    truth = metric.prepare(problem)
    judgement = metric.measure(FixedScores("x", scores(0), scores(1)), truth, problem)
    each = [top_overlap(scores(seed), 5) for seed in (0, 1)]
    summary = judgement.summary
    assert summary["value"] == pytest.approx(np.mean([x.distinct for x in each]))
    assert summary["overlap"] == pytest.approx(np.mean([x.overlap for x in each]))
    without = np.mean([x.without for x in each], axis=0)
    assert summary["interval"] == pytest.approx(jackknife_interval(summary["value"], without))
    assert (summary["largest"], summary["tied"], summary["models"]) == (1, 0, 2)
    assert metric.describe(truth) == {
        "queries": 4,
        "examples": 30,
        "k": 5,
        "largest": 1,
        "chance": random_distinct(4, 30, 5),
        "chance_overlap": 5 / 30,
    }


def test_lists_are_never_longer_than_the_data(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path)
    metric = TopKOverlap(k=1000)
    metric.check(problem)
    assert problem.warnings == [
        "top-k-overlap: lists of k = 1000 hold all 30 training examples, so that every row gets "
        "the same; lower k"
    ]
    truth = metric.prepare(problem)
    summary = metric.measure(FixedScores("x", scores(0)), truth, problem).summary
    assert summary["value"] == summary["largest"] == 0.25
    assert summary["overlap"] == 1


def test_what_numbers_mean_and_ties_are_said(tmp_path):
    rows = [
        FixedScores("random", scores(0)),
        FixedScores("gradient-dot", scores(1)),
        FixedScores("labels", (QUERIES.targets[:, None] == TRAIN.targets).double()),
    ]
    problem = problem_with(TRAIN, QUERIES, tmp_path)
    judgements, conclusion = concluded(TopKOverlap(k=5), rows, problem)
    assert judgements["labels"].summary["tied"] == 4
    assert conclusion.notes == (
        "a larger share says that lists are more specific, not that they are right: random scores "
        f"get {random_distinct(4, 30, 5):.3f} here.",
        '4 of 4 lists of "labels" end among equal scores, of which the lower indices were taken: '
        "they look more alike than the scores are.",
    )


def test_it_is_made_from_a_config():
    assert Metric.from_config({"type": "top-k-overlap", "k": 3}).k == 3
