from __future__ import annotations

import re

import numpy as np
import pytest

from hessinf.evaluation import flip_detection as detection
from hessinf.evaluation import ranking
from hessinf.evaluation.errors import EvaluationError


def example(models=2, size=200, seed=0):
    random = np.random.default_rng(seed)
    flipped = random.random(size) < 0.1
    return random.standard_normal((models, size)) + 2 * flipped, flipped


def test_each_model_is_judged():
    values, flipped = example()
    found = detection.flip_detection(values, flipped)
    for model, row in enumerate(values):
        assert found["auroc"][model] == pytest.approx(ranking.auroc(row, flipped))
        assert found["auprc"][model] == pytest.approx(ranking.auprc(row, flipped))
        share = flipped.mean()
        assert found["recall"][model] == pytest.approx(ranking.recall_at(row, flipped, share))
        assert found["recovery_area"][model] == pytest.approx(ranking.recovery_area(row, flipped))


def test_recall_is_a_mean_over_models():
    values, flipped = example()
    expected = [np.mean([ranking.recall_at(row, flipped, s) for row in values]) for s in (0.1, 0.5)]
    assert detection.recalls(values, flipped, [0.1, 0.5]) == pytest.approx(expected)


def test_resamples_are_paired_and_do_not_depend_on_how_many_are_held(monkeypatch):
    values, flipped = example()
    options = {"resamples": 120, "seed": 3}
    first = detection.resampled_detection(values, flipped, **options)
    again = detection.resampled_detection(values * 1e-6, flipped, **options)
    for name in first:
        assert first[name].shape == (120,)
        assert (first[name] == again[name]).all()
    other = detection.resampled_detection(values, flipped, resamples=120, seed=4)
    assert (first["auroc"] != other["auroc"]).any()
    monkeypatch.setattr(detection, "AT_ONCE", 7 * len(flipped))
    parts = detection.resampled_detection(values, flipped, **options)
    for name in first:  # sums of other shapes may round in another order
        assert parts[name] == pytest.approx(first[name], rel=1e-12)


def test_both_kinds_stay_as_many():
    # Two flipped examples of twenty: plain resampling would leave one in eight without any.
    flipped = np.arange(20) < 2
    found = detection.resampled_detection(np.arange(20.0)[None], flipped, resamples=500, seed=0)
    assert (found["auroc"] == 0).all()
    assert np.isfinite(found["auprc"]).all()


def test_models_are_drawn_too():
    values, flipped = example(models=1)
    apart = np.concatenate([values, -values])
    one = detection.resampled_detection(values, flipped, resamples=400, seed=0)["auroc"]
    two = detection.resampled_detection(apart, flipped, resamples=400, seed=0)["auroc"]
    # Half of the time the two models are one model twice.
    assert np.ptp(two) > 3 * np.ptp(one)
    assert np.mean(two) == pytest.approx(0.5, abs=0.05)


def test_the_interval_covers_the_true_area():
    # For two normal distributions one apart, the area is Φ(1/√2) = 0.7602.
    random = np.random.default_rng(0)
    flipped = np.arange(150) < 30
    hits = 0
    for trial in range(100):
        values = random.standard_normal((1, 150)) + flipped
        drawn = detection.resampled_detection(values, flipped, resamples=200, seed=trial)["auroc"]
        low, high = np.quantile(drawn, [0.025, 0.975])
        hits += low <= 0.7602 <= high
    assert 87 <= hits <= 100


@pytest.mark.parametrize(
    ("values", "flipped", "message"),
    [
        (
            [[1.0, 2.0]],
            [False, False],
            "0 of 2 examples are flipped, expected some and not all",
        ),
        ([[1.0, 2.0]], [True, True], "2 of 2 examples are flipped, expected some and not all"),
        (
            [[1.0, 2.0]],
            [True, False, False],
            "self_influence has shape [1, 2], that is 2 training examples; expected 3 training "
            "examples, as the other arrays have: [models, training examples] (axis 1)",
        ),
        (
            [[1.0, np.nan]],
            [True, False],
            "self_influence[0, 1] is nan, expected finite numbers (1 of 2 are not): they have no "
            "rank; find out where they come from, they are not left out here",
        ),
    ],
)
def test_what_cannot_be_ranked_is_refused(values, flipped, message):
    with pytest.raises(EvaluationError, match=f"^{re.escape(message)}$"):
        detection.flip_detection(np.array(values), np.array(flipped))
