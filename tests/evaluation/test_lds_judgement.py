from __future__ import annotations

import re

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.lds_judgement import LdsTruth, judge, prepare_truth, summary
from hessinf.evaluation.rank_correlation import spearman
from hessinf.evaluation.subset_masks import draw_masks
from hessinf.evaluation.subset_truth import SubsetTruth

QUERIES, SUBSETS = 20, 40


def truth_of(values: np.ndarray, *, tuning: slice = slice(0, 10)) -> LdsTruth:
    """Make a truth of ``values`` ``[Q, m]`` whose first queries are tuned on."""
    masks = draw_masks(examples=30, alpha=0.5, subsets=SUBSETS, seed=0)
    places = np.arange(QUERIES)
    return prepare_truth(
        SubsetTruth(masks, values.T[:, None].astype(np.float32), 0.5),
        tuning=places[tuning],
        reported=np.delete(places, tuning),
        resamples=200,
        seed=0,
    )


def noisy(values: np.ndarray, noise: float, seed: int) -> np.ndarray:
    return values + noise * np.random.default_rng(100 + seed).normal(size=values.shape)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(QUERIES, SUBSETS))


def test_the_best_damping_on_the_tuning_queries_is_chosen(values: np.ndarray) -> None:
    at_dampings = np.stack([noisy(values, noise, place) for place, noise in enumerate([3, 1, 2])])
    truth = truth_of(values)
    found = judge(at_dampings[None], truth)
    assert found.chosen == 1
    assert found.curve is not None
    means = truth.subsets.means.T
    expected = [spearman(one[:10], means[:10]).mean() for one in at_dampings]
    np.testing.assert_allclose(found.curve, expected)
    assert found.value == pytest.approx(spearman(at_dampings[1, 10:], means[10:]).mean())


def test_the_value_is_not_that_of_the_queries_tuned_on(values: np.ndarray) -> None:
    # Dampings that know nothing: the best of many looks good where it was chosen, and only there.
    at_dampings = np.random.default_rng(101).normal(size=(1, 60, QUERIES, SUBSETS))
    found = judge(at_dampings, truth_of(values))
    assert found.curve is not None
    assert found.curve[found.chosen] > 0.08
    assert abs(found.value) < 0.07


def test_queries_that_are_reported_do_not_decide_the_damping(values: np.ndarray) -> None:
    at_dampings = np.stack([noisy(values, 1, 0), noisy(values, 2, 1)])[None]
    at_dampings[0, 0, 10:] *= -1  # the first is the best where it is tuned, the worst elsewhere
    found = judge(at_dampings, truth_of(values))
    assert found.chosen == 0
    assert found.value < 0


def test_tuning_on_reported_queries_is_refused(values: np.ndarray) -> None:
    truth = truth_of(values).subsets
    text = (
        "query 7 is reported, and dampings are chosen on it (3 such queries): the best of several "
        "on the same queries looks better than it is; choose on other queries than those that are "
        "reported"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        prepare_truth(truth, tuning=np.arange(10), reported=np.arange(7, 20), resamples=100, seed=0)


def test_several_dampings_without_queries_to_choose_on_are_refused(values: np.ndarray) -> None:
    truth = truth_of(values, tuning=slice(0, 0))
    text = (
        "there are scores at 2 dampings, and no query to choose one on: chosen on the queries that "
        "are reported, it looks better than it is"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        judge(np.stack([values, values])[None], truth)


def test_without_a_choice_the_only_scores_are_reported(values: np.ndarray) -> None:
    found = judge(noisy(values, 1, 0)[None, None], truth_of(values, tuning=slice(0, 0)))
    assert (found.chosen, found.curve) == (0, None)
    assert found.correlations.shape == (1, QUERIES)


def test_models_are_averaged_and_share_one_damping(values: np.ndarray) -> None:
    models = np.stack(
        [
            np.stack([noisy(values, 0.5, 0), noisy(values, 1, 1)]),
            np.stack([noisy(values, 9, 2), noisy(values, 1, 3)]),
        ]
    )  # [K, D, Q, m]: the first model alone would choose the first damping
    truth = truth_of(values)
    assert judge(models[:1], truth).chosen == 0
    found = judge(models, truth)
    assert found.chosen == 1
    each = [judge(model[1:][None], truth).value for model in models]
    assert found.value == pytest.approx(np.mean(each))


def test_undefined_correlations_are_counted_and_left_out(values: np.ndarray) -> None:
    predictions = noisy(values, 1, 0)
    predictions[12] = 0.5
    predictions[3] = 0.5  # not reported
    found = judge(predictions[None, None], truth_of(values))
    said = summary(found)
    assert said["missing"] == 1
    assert np.isnan(found.per_query).tolist() == [False, False, True] + [False] * 7
    others = np.delete(np.arange(10, 20), 2)
    expected = spearman(predictions[others], truth_of(values).subsets.means.T[others]).mean()
    assert said["value"] == pytest.approx(expected)
    low, high = said["interval"]
    assert low < said["value"] < high


def test_constant_scores_have_no_value_and_no_interval(values: np.ndarray) -> None:
    found = judge(np.zeros((1, 2, QUERIES, SUBSETS)), truth_of(values))
    assert summary(found) == {
        "value": None,
        "interval": None,
        "interval_queries": None,
        "interval_masks": None,
        "missing": 10,
    }


def test_intervals_hold_the_value_and_resamples_are_shared(values: np.ndarray) -> None:
    truth = truth_of(values)
    one = judge(noisy(values, 1, 0)[None, None], truth)
    again = judge(noisy(values, 1, 0)[None, None], truth_of(values))
    assert summary(one) == summary(again)
    said = summary(one)
    for name in ("interval", "interval_queries", "interval_masks"):
        low, high = said[name]
        assert low < said["value"] < high


def test_ceiling_is_that_of_reported_queries(values: np.ndarray) -> None:
    repeats = np.stack([values, noisy(values, 0.8, 5)], axis=0)  # [R, Q, m]
    repeats[1, :10] = -values[:10]  # queries that are tuned on have a noise of their own
    masks = draw_masks(examples=30, alpha=0.5, subsets=SUBSETS, seed=0)
    truth = prepare_truth(
        SubsetTruth(masks, repeats.transpose(2, 0, 1).astype(np.float32), 0.5),
        tuning=np.arange(10),
        reported=np.arange(10, 20),
        resamples=100,
        seed=0,
    )
    assert truth.ceiling is not None
    assert truth.ceiling.single > 0.5
