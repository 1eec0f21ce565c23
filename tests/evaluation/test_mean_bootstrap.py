from __future__ import annotations

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.mean_bootstrap import difference_interval, mean_interval


def test_of_one_number_everywhere_is_that_number():
    assert mean_interval(np.full((3, 7), 2.5), 0) == pytest.approx((2.5, 2.5))


@pytest.mark.parametrize("shape", [(1, 40), (5, 40), (40, 1)])
def test_holds_the_mean_and_grows_with_the_spread(shape):
    values = np.random.default_rng(0).normal(size=shape)
    low, high = mean_interval(values, 0)
    assert low < values.mean() < high
    wider = mean_interval(10 * values + 3, 0)
    assert wider == pytest.approx((10 * low + 3, 10 * high + 3))


def test_is_the_usual_bootstrap_where_there_is_one_row():
    values = np.random.default_rng(1).normal(size=(1, 50))
    random = np.random.default_rng(2)
    means = [random.choice(values[0], 50).mean() for _ in range(20_000)]
    assert mean_interval(values, 0) == pytest.approx(
        tuple(np.quantile(means, [0.025, 0.975])), abs=0.03
    )


def test_counts_the_noise_of_seeds():
    """Ten seeds that differ a lot, a thousand queries that do not: seeds decide the width."""
    seeds = np.random.default_rng(3).normal(size=(10, 1))
    values = seeds + 1e-6 * np.random.default_rng(4).normal(size=(10, 1000))
    low, high = mean_interval(values, 0)
    assert high - low == pytest.approx(2 * 1.96 * seeds.std() / np.sqrt(10), rel=0.15)


def test_the_same_draws_for_the_same_seed():
    values = np.random.default_rng(5).normal(size=(4, 30))
    assert mean_interval(values, 1) == mean_interval(values, 1)
    assert mean_interval(values, 1) != mean_interval(values, 2)


def test_numbers_that_are_none():
    with pytest.raises(EvaluationError, match=r"^values\[0, 1\] is nan, expected finite numbers"):
        mean_interval(np.array([[0.0, np.nan]]), 0)


def test_differences_draw_the_same_queries():
    """What queries have in common cancels; what rows differ by does not."""
    queries = 100 * np.random.default_rng(6).normal(size=(1, 40))
    low, high = difference_interval(queries + np.zeros((3, 1)), queries + np.zeros((5, 1)) - 1, 0)
    assert (low, high) == pytest.approx((1, 1))
    rows = np.random.default_rng(7).normal(size=(20, 1))
    others = np.random.default_rng(8).normal(size=(30, 1))
    low, high = difference_interval(queries + rows, queries + others, 0)
    assert low < rows.mean() - others.mean() < high
    spread = np.sqrt(rows.var() / 20 + others.var() / 30)
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.1)


def test_differences_of_other_queries():
    with pytest.raises(EvaluationError, match=r"^others has shape \[2, 3\], that is 3 queries"):
        difference_interval(np.zeros((2, 4)), np.zeros((2, 3)), 0)
