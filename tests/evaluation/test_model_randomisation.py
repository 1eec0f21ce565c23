from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from hessinf.errors import HessinfError
from hessinf.evaluation import EvaluationError, Metric, ModelRandomisation
from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.evaluation import evaluate
from hessinf.evaluation.rank_correlation import spearman
from tests.evaluation.fixed_scores import FixedScores, Predicts, labelled, problem_with
from tests.evaluation.problems import small_network_problem

TRAIN, QUERIES = labelled([0, 1, 2, 0]), labelled([0, 1])


class Anew(Attribution):
    """Scores by the seed of the model."""

    def __init__(self, name, function):
        super().__init__(name)
        self.function = function

    def scores(self, model=0):
        return self.function(0)

    def scores_for(self, model):
        return self.function(model.seed)


def seeded(seed):
    return np.random.default_rng(seed).standard_normal((2, 4))


def judged(metric, row, problem):
    metric.check(problem)
    truth = metric.prepare(problem)
    return metric.measure(row, truth, problem), truth


def test_the_value_is_the_mean_correlation_with_scores_for_random_models(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path)
    judgement, truth = judged(ModelRandomisation(seeds=4), Anew("x", seeded), problem)
    seeds = [model.seed for model in truth.models]
    assert len(set(seeds)) == 4
    found = np.array([spearman(seeded(0), seeded(seed)) for seed in seeds])
    assert judgement.summary["value"] == pytest.approx(found.mean())
    assert judgement.summary["absolute"] == pytest.approx(np.abs(found).mean())
    assert truth.facts["random_models"] == 4
    assert not ModelRandomisation.higher_is_better


def test_scores_that_do_not_change_are_named(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path)
    metric = ModelRandomisation()
    judgement, truth = judged(metric, Anew("labels", lambda seed: seeded(0) * (1 + seed)), problem)
    assert judgement.summary["value"] == pytest.approx(1)
    assert metric.conclude({"labels": judgement}, truth, problem).notes == (
        'the scores of "labels" are in the same order for models with random weights: they say '
        "nothing of what this model has learnt.",
    )


def test_scores_that_cannot_be_computed_anew_are_named(tmp_path):
    problem = problem_with(TRAIN, QUERIES, tmp_path)
    metric = ModelRandomisation()
    judgement, truth = judged(metric, FixedScores("file", seeded(0)), problem)
    assert judgement.summary == {"value": None, "interval": None, "missing": 2, "queries": 2}
    conclusion = metric.conclude({"file": judgement}, truth, problem)
    assert conclusion.comparisons == ()
    assert conclusion.notes == (
        '"file" cannot be computed for another model (its scores are from a file, or tied to '
        "checkpoints): whether they depend on what the model has learnt is not known.",
    )


def test_a_query_without_correlation_is_counted(tmp_path):
    def half_constant(seed):
        scores = seeded(seed)
        scores[0] = 1
        return scores

    problem = problem_with(TRAIN, QUERIES, tmp_path)
    judgement, _ = judged(ModelRandomisation(seeds=1), Anew("x", half_constant), problem)
    assert judgement.summary["missing"] == 1
    assert np.isfinite(judgement.summary["value"])


def test_a_method_that_fails_on_random_weights_is_named(tmp_path):
    def fails(seed):
        if seed:
            raise HessinfError("the Hessian is not positive definite")
        return seeded(0)

    text = (
        'model-randomisation: "x" cannot be computed for random model 0: the Hessian is not '
        "positive definite"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        judged(ModelRandomisation(), Anew("x", fails), problem_with(TRAIN, QUERIES, tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"cannot_retrain": "its weights are from a file"},
            "model-randomisation makes models with random weights, and its weights are from a file",
        ),
        (
            {"make_module": lambda seed: Predicts(0)},
            "model-randomisation makes models with random weights, and the weights made are those "
            "of the run's model; let the model's constructor draw its weights from PyTorch's "
            "generator",
        ),
        (
            {"make_module": lambda seed: Predicts(7)},
            "model-randomisation makes models with random weights, and the weights made are the "
            "same for different seeds; let the model's constructor draw its weights from PyTorch's "
            "generator",
        ),
    ],
)
def test_models_that_are_not_random_are_refused(changes, message, tmp_path):
    problem = replace(problem_with(TRAIN, QUERIES, tmp_path), **changes)
    with pytest.raises(EvaluationError, match=f"^{re.escape(message)}$"):
        judged(ModelRandomisation(), Anew("x", seeded), problem)


def test_methods_on_a_network(tmp_path):
    problem = small_network_problem(tmp_path)
    scores = np.random.default_rng(0).standard_normal((len(problem.queries), len(problem.train)))
    config = {"type": "model-randomisation", "seeds": 2, "resamples": 100}
    result = evaluate(
        problem, {"it": config}, {"kfac": {"type": "kfac", "damping": 0.01}, "file": scores}
    )["metrics"]["it"]
    rows = result["rows"]
    assert rows["random"]["value"] == pytest.approx(0, abs=0.1)
    assert rows["file"]["value"] is None
    assert abs(rows["kfac"]["value"]) < abs(rows["gradient-dot"]["value"])
    # Random scores share nothing with any: they are shown, and not called better.
    assert {"random"}.isdisjoint(x["better"] for x in result["comparisons"])
    assert not any('"random"' in note for note in result["notes"])


def test_it_is_made_from_a_config():
    metric = Metric.from_config({"type": "model-randomisation", "seeds": 5})
    assert metric.seeds == 5
