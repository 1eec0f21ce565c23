from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from hessinf.data import Dataset, DatasetReader
from hessinf.evaluation import EvaluationError, Judgement, Metric, Mislabel, ranking
from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.baselines import baseline
from hessinf.evaluation.evaluation import evaluate
from hessinf.evaluation.method_attribution import MethodAttribution
from hessinf.evaluation.problem import Problem
from hessinf.training import Trainer
from tests.evaluation.problems import problem_of, small_problem


class Fixed(Attribution):
    """Given self-influence, the same for all models."""

    def __init__(self, name: str, values, models: int = 1) -> None:
        super().__init__(name, models)
        self.values = values

    def scores(self, model: int = 0):
        raise AssertionError("mislabel looks at self-influence only")

    def self_influence(self, model: int = 0):
        return self.values


def noisy_problem(folder: Path, *, models: int = 2, rate: float = 0.15) -> Problem:
    reader = DatasetReader.from_config(
        {"type": "noisy-labels", "reader": {"type": "wine", "test_ratio": 0.2}, "rate": rate}
    )
    return problem_of(
        reader.read("train"),
        reader.read("test")[:8],
        {"type": "mlp", "hidden_sizes": [8], "activation": "tanh"},
        Trainer(epochs=30, batch_size=16, weight_decay=1e-3),
        folder=folder,
        models=models,
    )


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return noisy_problem(tmp_path_factory.mktemp("noisy"))


def judged(problem, *rows, **arguments):
    metric = Mislabel(resamples=200, **arguments)
    metric.check(problem)
    truth = metric.prepare(problem)
    judgements = {row.name: metric.measure(row, truth, problem) for row in rows}
    return metric, truth, judgements


def test_the_value_is_the_area_over_flipped_examples(problem):
    row = MethodAttribution("kfac", {"type": "kfac", "damping": 0.01}, problem)
    loss = baseline("loss", problem)
    _, truth, judgements = judged(problem, row, loss)
    flipped = np.isin(np.arange(len(problem.train)), problem.train.flipped)
    assert truth.flipped.tolist() == flipped.tolist()
    for attribution in (row, loss):
        summary = judgements[attribution.name].summary
        areas = [ranking.auroc(attribution.self_influence(model), flipped) for model in (0, 1)]
        assert summary["by_model"] == pytest.approx(areas)
        assert summary["value"] == pytest.approx(np.mean(areas))
        assert summary["interval"][0] <= summary["value"] <= summary["interval"][1]
        for name in ("auprc", "recall", "recovery_area"):
            low, high = summary[f"{name}_interval"]
            assert low <= summary[name] <= high
        assert summary["models"] == 2
        assert summary["missing"] == 0
    # The loss finds wrong labels of this small network well, which is why it must be shown.
    assert judgements["loss"].summary["value"] > 0.9


def test_recall_and_recovery_curve(problem):
    flipped = np.isin(np.arange(len(problem.train)), problem.train.flipped)
    perfect = Fixed("perfect", flipped.astype(float))
    _, _, judgements = judged(problem, perfect, shares=[0.05, 0.5])
    summary = judgements["perfect"].summary
    share = flipped.mean()
    assert (summary["value"], summary["auprc"], summary["recovery_area"]) == (1, 1, 1)
    assert summary["recall"] == 1
    assert [x["share"] for x in summary["recall_at"]] == [0.05, 0.5]
    assert [x["recall"] for x in summary["recall_at"]] == pytest.approx([0.05 / share, 1])
    curve = summary["recovery_curve"]
    assert (curve["inspected"][0], curve["inspected"][-1]) == (0, 1)
    assert curve["found"] == pytest.approx([min(x / share, 1) for x in curve["inspected"]])


def test_a_file_of_scores_is_not_judged(problem):
    _, _, judgements = judged(problem, Fixed("file", None))
    assert judgements == {"file": None}


def test_what_chance_would_get_is_described(problem):
    metric, truth, _ = judged(problem)
    count, total = len(problem.train.flipped), len(problem.train)
    assert metric.describe(truth) == {
        "flipped": count,
        "examples": total,
        "share": count / total,
        "models": 2,
        "chance": 0.5,
        "chance_auprc": ranking.chance_auprc(count, total),
        "chance_recall": count / total,
        "chance_recovery_area": 0.5 / (1 - count / total / 2),
    }


def judgement(value: float, seed: int) -> Judgement:
    """A row whose resamples have a standard deviation of 0.01."""
    noise = 0.01 * np.random.default_rng(seed).standard_normal(500)
    return Judgement({"value": value}, {"resampled": value + noise})


@pytest.mark.parametrize(
    ("loss", "method", "begin"),
    [
        (
            0.9,
            0.8,
            "The plain training loss finds flipped labels better than every method here: influence "
            'adds nothing to it on these data. The best method is "m": difference +0.1000 [+0.0',
        ),
        (
            0.8,
            0.9,
            '"m" finds flipped labels better than the plain training loss: difference +0.1000 [+0',
        ),
        (
            0.801,
            0.8,
            'The best method, "m", is not better than the plain training loss: difference +0.0010',
        ),
        (
            0.8,
            0.801,
            'The best method, "m", is not surely better than the plain training loss: difference +',
        ),
    ],
)
def test_it_is_said_plainly_when_the_loss_wins(problem, loss, method, begin):
    judgements = {
        "loss": judgement(loss, 1),
        "m": judgement(method, 2),
        "worse": judgement(0.6, 3),
        "gradient-norm": judgement(0.5, 4),
        "random": judgement(0.5, 5),
    }
    metric = Mislabel()
    conclusion = metric.conclude(judgements, metric.prepare(problem), problem)
    assert conclusion.notes[0].startswith(begin)
    useless = conclusion.notes[0].endswith("On these data influence has shown no use beyond it.")
    assert useless == begin.startswith("The best method")
    assert conclusion.notes[1].startswith(
        '"m" finds flipped labels better than the plain gradient norm: difference +'
    )
    pairs = {frozenset((x["better"], x["worse"])) for x in conclusion.comparisons}
    assert len(pairs) == len(conclusion.comparisons) == 7
    assert frozenset(("loss", "m")) in pairs
    assert frozenset(("m", "random")) not in pairs


def test_no_word_of_methods_where_there_are_none(problem):
    judgements = {"loss": judgement(0.9, 1), "random": judgement(0.5, 2)}
    metric = Mislabel()
    assert metric.conclude(judgements, metric.prepare(problem), problem).notes == ()


def test_evaluate_shows_all_rows_and_gives_the_same_numbers_twice(problem):
    results = [
        evaluate(
            problem,
            {"mislabel": {"type": "mislabel", "resamples": 100}},
            {"file": np.eye(len(problem.queries), len(problem.train))},
        )["metrics"]["mislabel"]
        for _ in range(2)
    ]
    assert results[0] == results[1]
    assert set(results[0]["rows"]) == {"random", "loss", "gradient-norm"}
    assert results[0]["not_judged"] == ["file"]


def test_labels_that_nobody_changed_are_refused(tmp_path):
    text = (
        "mislabel looks for labels that were changed on purpose, and the training data "
        '"wine/train" have none: read them with {"type": "noisy-labels", "reader": ..., "rate": '
        "0.1}"
    )
    problem = small_problem(tmp_path)
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        Mislabel().check(problem)


def test_labels_that_are_all_changed_are_refused(problem):
    class Changed:
        train = Dataset(problem.train.instances, flipped=range(len(problem.train)))

    text = (
        "mislabel looks for labels that were changed among labels that were not, and all "
        f"{len(problem.train)} were; lower the rate"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        Mislabel().check(Changed())


def test_it_is_made_from_a_config():
    metric = Metric.from_config({"type": "mislabel", "shares": [0.2], "resamples": 500})
    assert isinstance(metric, Mislabel)
    assert (metric.shares, metric.resamples) == ((0.2,), 500)
