from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.top_labels import label_shares, top_label_share


def brute_force(scores, train_labels, label, k):
    """The mean over all orders of equal scores."""
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    return np.mean([[train_labels[place] == label for place in order[:k]] for order in orders])


@pytest.mark.parametrize("levels", [1, 2, 4, 1000])
@pytest.mark.parametrize("k", [1, 2, 5, 6])
def test_the_share_is_the_mean_over_all_orders_of_equal_scores(levels, k):
    random = np.random.default_rng(levels + k)
    scores = random.integers(0, levels, (4, 6)) * 1e-7
    train, queries = random.integers(0, 3, 6), random.integers(0, 3, 4)
    expected = [
        brute_force(row, train, label, k) for row, label in zip(scores, queries, strict=True)
    ]
    assert top_label_share(scores, train, queries, k) == pytest.approx(np.array(expected))


def test_known_answers():
    scores = np.array([[3.0, 2.0, 1.0], [-1.0, -2.0, 5.0]])
    train = np.array(["a", "b", "a"])
    queries = np.array(["a", "b"])
    assert top_label_share(scores, train, queries).tolist() == [1, 0]
    assert top_label_share(scores, train, queries, 2).tolist() == [0.5, 0]
    # A list cannot be longer than there are examples.
    assert top_label_share(scores, train, queries, 9).tolist() == pytest.approx([2 / 3, 1 / 3])


def test_random_scores_find_the_share_of_the_class():
    random = np.random.default_rng(0)
    train, queries = random.integers(0, 4, 200), random.integers(0, 5, 400)
    shares = label_shares(train, queries)
    assert shares[queries == 2] == pytest.approx((train == 2).mean())
    assert shares[queries == 4] == pytest.approx(0)  # no training example is of this class
    for k in (1, 10):
        found = top_label_share(random.standard_normal((400, 200)), train, queries, k)
        assert found.mean() == pytest.approx(shares.mean(), abs=0.06)


@pytest.mark.parametrize(
    ("scores", "k", "message"),
    [
        ([[1.0, np.nan]], 1, "scores[0, 1] is nan, expected finite numbers"),
        ([[1.0, 2.0, 3.0]], 1, "scores has shape [1, 3], that is 3 training examples; expected 2"),
        ([[1.0, 2.0]], 0, "k is 0, expected 1 or more"),
    ],
)
def test_what_does_not_fit_is_refused(scores, k, message):
    with pytest.raises(EvaluationError, match=f"^{re.escape(message)}"):
        top_label_share(np.array(scores), np.array([0, 1]), np.array([0]), k)
