from __future__ import annotations

import re

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.removal_sets import most_helpful, share_of, worst


def test_the_highest_first_and_ties_in_order():
    scores = np.array([[0.0, 2.0, -1.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    assert most_helpful(scores, 3).tolist() == [[1, 3, 4], [0, 1, 2]]
    assert worst(scores[0], 3).tolist() == [2, 0, 4]
    assert worst(scores[1], 2).tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_more_examples_begin_with_fewer(seed):
    scores = np.random.default_rng(seed).normal(size=(4, 20)).round(1)
    for count in range(2, 20):
        many, few = most_helpful(scores, count), most_helpful(scores, count - 1)
        assert many[:, :-1].tolist() == few.tolist()
        for row, places in zip(scores, many, strict=True):
            left = np.delete(row, places)
            assert len(left) == 20 - count
            assert row[places].min() >= left.max()


@pytest.mark.parametrize("count", [-1, 0, 5, 6])
def test_nothing_and_everything_are_refused(count):
    text = f"{count} of 5 training examples cannot be removed, expected 1 to 4"
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        most_helpful(np.zeros((2, 5)), count)


def test_numbers_without_a_rank_are_refused():
    with pytest.raises(EvaluationError, match=r"^scores\[0, 2\] is nan, expected finite numbers"):
        most_helpful(np.array([[0.0, 1.0, np.nan]]), 1)
    with pytest.raises(EvaluationError, match="expected finite numbers"):
        worst(np.array([0.0, np.inf]), 1)


@pytest.mark.parametrize(
    ("share", "size", "count"), [(0.5, 10, 5), (0.01, 10, 1), (0.01, 1617, 16), (0.26, 10, 3)]
)
def test_shares(share, size, count):
    assert share_of(share, size) == count


def test_a_share_that_leaves_nothing():
    with pytest.raises(EvaluationError, match=r"^10 of 10 training examples cannot be removed"):
        share_of(0.99, 10)
