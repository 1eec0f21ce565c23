from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, roc_auc_score

from hessinf.evaluation import ranking
from hessinf.evaluation.errors import EvaluationError


def problems(count: int = 40):
    """Random scores with and without ties, and random positives of both kinds."""
    for seed in range(count):
        random = np.random.default_rng(seed)
        size = int(random.integers(2, 60))
        levels = int(random.integers(1, 12)) if seed % 2 else 10**6
        scores = random.integers(0, levels, size) / levels * 10.0 ** random.integers(-6, 6)
        positive = random.random(size) < random.random()
        positive[0], positive[1] = True, False
        yield scores, positive


def brute_auroc(scores, positive):
    pairs = itertools.product(scores[positive], scores[~positive])
    return float(np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs]))


def test_areas_are_those_of_scikit_learn_and_of_all_pairs():
    for scores, positive in problems():
        assert ranking.auroc(scores, positive) == pytest.approx(brute_auroc(scores, positive))
        assert ranking.auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
        assert ranking.auprc(scores, positive) == pytest.approx(
            average_precision_score(positive, scores)
        )


def test_known_answers():
    scores = np.array([4.0, 3.0, 2.0, 1.0])
    positive = np.array([True, False, True, False])
    assert ranking.auroc(scores, positive) == 0.75
    assert ranking.auprc(scores, positive) == pytest.approx((1 + 2 / 3) / 2)
    assert ranking.recall_at(scores, positive, 0.5) == 0.5
    inspected, found = ranking.recovery_curve(scores, positive)
    assert inspected.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found.tolist() == [0, 0.5, 0.5, 1, 1]
    assert ranking.recovery_area(scores, positive) == pytest.approx(0.625 / 0.75)


def test_a_perfect_ranking_is_one_and_equal_scores_are_chance():
    positive = np.array([False, True, False, True, False])
    assert ranking.auroc(positive.astype(float), positive) == 1
    assert ranking.auprc(positive.astype(float), positive) == 1
    assert ranking.recovery_area(positive.astype(float), positive) == 1
    assert ranking.recall_at(positive.astype(float), positive, 0.4) == 1
    assert ranking.auroc(-positive.astype(float), positive) == 0
    same = np.ones(5)
    assert ranking.auroc(same, positive) == 0.5
    assert ranking.auprc(same, positive) == pytest.approx(0.4)
    assert ranking.recall_at(same, positive, 0.3) == pytest.approx(0.3)
    assert ranking.recovery_area(same, positive) == pytest.approx(0.5 / 0.8)


@pytest.mark.parametrize("size", [1617])
@pytest.mark.parametrize("scale", [1.0, 1e-1, 1e-2, 1e-3, 1e-9])
def test_the_scale_of_scores_changes_nothing(size, scale):
    # Adding 1e-4 times the place of each example, to make a sort stable, loses an area of 0.34 at
    # the scale 1e-3.
    random = np.random.default_rng(0)
    positive = random.random(size) < 0.1
    scores = random.random(size) + 0.7 * positive
    spoiled = scores * scale + np.arange(size) * 1e-4
    area = ranking.auroc(scores * scale, positive)
    assert area == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert area > 0.9
    if scale == 1e-3:
        assert roc_auc_score(positive, spoiled) < 0.6


def test_any_increasing_function_of_scores_changes_nothing():
    for scores, positive in problems(10):
        ranks = np.unique(scores, return_inverse=True)[1] ** 3 * 1e-7
        for function in (
            ranking.auroc,
            ranking.auprc,
            ranking.recovery_area,
            lambda s, p: ranking.recall_at(s, p, 0.37),
        ):
            assert function(ranks, positive) == pytest.approx(function(scores, positive))


def test_the_recovery_curve_is_the_mean_over_the_orders_of_equal_scores():
    scores = np.array([2.0, 1.0, 1.0, 1.0, 0.0])
    positive = np.array([False, True, False, True, True])
    found = []
    for middle in itertools.permutations([1, 2, 3]):
        order = [0, *middle, 4]
        found.append(np.cumsum([0, *positive[order]]) / 3)
    expected = np.mean(found, axis=0)
    inspected, shares = ranking.recovery_curve(scores, positive)
    assert np.interp(np.arange(6) / 5, inspected, shares) == pytest.approx(expected)
    for place in range(6):
        assert ranking.recall_at(scores, positive, place / 5) == pytest.approx(expected[place])


def test_the_recovery_area_follows_from_the_other_one():
    # The area under the recovery curve is p/2 + (1 - p) AUROC: the same ranking, on another scale.
    for scores, positive in problems():
        share = positive.mean()
        area = share / 2 + (1 - share) * ranking.auroc(scores, positive)
        assert ranking.recovery_area(scores, positive) == pytest.approx(area / (1 - share / 2))


def test_weights_count_examples_several_times():
    random = np.random.default_rng(5)
    for scores, positive in problems(10):
        weights = random.integers(0, 3, (4, len(scores)))
        weights[:, :2] += 1
        together = ranking.ranked(scores, positive, weights)
        for row, counts in enumerate(weights):
            repeated, kinds = np.repeat(scores, counts), np.repeat(positive, counts)
            assert together.auroc()[row] == pytest.approx(ranking.auroc(repeated, kinds))
            assert together.auprc()[row] == pytest.approx(ranking.auprc(repeated, kinds))
            assert together.recall_at(0.3)[row] == pytest.approx(
                ranking.recall_at(repeated, kinds, 0.3)
            )
            assert together.recovery_area()[row] == pytest.approx(
                ranking.recovery_area(repeated, kinds)
            )


@pytest.mark.parametrize(("positives", "total"), [(1, 2), (2, 5), (3, 4)])
def test_chance_precision_is_the_mean_over_all_orders(positives, total):
    kinds = [True] * positives + [False] * (total - positives)
    scores = np.arange(total, 0, -1.0)
    values = [ranking.auprc(scores, np.array(o)) for o in itertools.permutations(kinds)]
    assert ranking.chance_auprc(positives, total) == pytest.approx(np.mean(values))


def test_the_interval_of_a_share_is_that_of_scipy():
    for successes, trials in [(0, 1), (0, 7), (3, 7), (7, 7), (50, 1000)]:
        for confidence in (0.8, 0.95):
            expected = binomtest(successes, trials).proportion_ci(confidence, "wilson")
            found = ranking.wilson_interval(successes, trials, confidence)
            assert found == pytest.approx((expected.low, expected.high))
    assert ranking.wilson_interval(0, 3)[0] == 0
    assert ranking.wilson_interval(3, 3)[1] == 1


@pytest.mark.parametrize(
    ("scores", "positive", "message"),
    [
        (
            [1.0, np.nan, np.inf],
            [True, False, False],
            "scores[1] is nan, expected finite numbers (2 of 3 are not): they have no rank; find "
            "out where they come from, they are not left out here",
        ),
        (
            [1.0, 2.0],
            [False, False],
            "0 of 2 examples are positive: a ranking cannot be judged without a positive one",
        ),
        (
            [1.0, 2.0],
            [True, True],
            "2 of 2 examples are positive: a ranking cannot be judged without a negative one",
        ),
        (
            [1.0, 2.0],
            [True],
            "scores has shape [2], that is 2 examples; expected 1 examples, as the other arrays "
            "have: [examples] (axis 0)",
        ),
        ([1.0, 2.0], [0, 1], "positive holds int64, expected true and false"),
    ],
)
@pytest.mark.parametrize("function", [ranking.auroc, ranking.auprc, ranking.recovery_curve])
def test_what_cannot_be_ranked_is_refused(function, scores, positive, message):
    with pytest.raises(EvaluationError, match=f"^{re.escape(message)}$"):
        function(np.array(scores), np.array(positive))


SCORES, POSITIVE = np.array([1.0, 2.0]), np.array([True, False])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ranking.recall_at(SCORES, POSITIVE, 1.5),
            "share is 1.5, expected a share of the examples, 0 to 1",
        ),
        (
            lambda: ranking.wilson_interval(4, 3),
            "4 of 3 is no share, expected 1 trial or more, and 0 to all of them",
        ),
        (
            lambda: ranking.wilson_interval(0, 0),
            "0 of 0 is no share, expected 1 trial or more, and 0 to all of them",
        ),
        (
            lambda: ranking.wilson_interval(1, 2, 95),
            "confidence is 95, expected a number between 0 and 1",
        ),
        (
            lambda: ranking.chance_auprc(3, 3),
            "3 of 3 examples are positive: a ranking cannot be judged without a negative one",
        ),
        (
            lambda: ranking.ranked(SCORES, POSITIVE, np.ones(3)),
            "weights are [3] for 2 scores, expected one each",
        ),
        (
            lambda: ranking.ranked(SCORES, POSITIVE, np.array([0, 1])),
            "weights leave no positive or no negative example; draw resamples within each kind",
        ),
    ],
)
def test_wrong_shares_counts_and_weights_are_refused(call, message):
    with pytest.raises(EvaluationError, match=f"^{re.escape(message)}$"):
        call()
