from __future__ import annotations

import re

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.query_means import mean_over_queries
from hessinf.evaluation.resampling import draw_counts


def drawn_queries(queries, resamples, seed):
    return draw_counts(np.random.default_rng(seed), queries, resamples)


def test_the_mean_over_queries_of_the_means_over_models():
    values = np.array([[1.0, np.nan, 3.0, 9.0], [2.0, np.nan, np.nan, 9.0]])
    kept = np.array([[True, True, True, False], [True, True, True, False]])
    mean = mean_over_queries(values, kept, drawn_queries(4, 200, 0))
    assert mean.value == pytest.approx((1.5 + 3.0) / 2)
    # The last query is not looked at; the second one has no number, and is counted.
    assert (mean.queries, mean.missing) == (3, 1)
    assert 1.5 <= mean.interval[0] < mean.value < mean.interval[1] <= 3.0
    assert mean.resampled.shape == (200,)


def test_a_query_of_some_models_only_counts_once():
    values = np.array([[0.0, 4.0], [1.0, 1.0]])
    kept = np.array([[True, True], [True, False]])
    mean = mean_over_queries(values, kept, drawn_queries(2, 100, 0))
    assert mean.value == pytest.approx((0.5 + 4.0) / 2)
    assert (mean.queries, mean.missing) == (2, 0)


@pytest.mark.parametrize("kept", [True, False])
def test_nothing_is_not_zero(kept):
    mean = mean_over_queries(
        np.full((1, 3), np.nan), np.full((1, 3), kept), drawn_queries(3, 100, 0)
    )
    assert np.isnan(mean.value)
    assert mean.interval is None
    assert (mean.queries, mean.missing) == ((3, 3) if kept else (0, 0))


def test_the_interval_covers_the_mean_of_the_population():
    random = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        values = random.exponential(size=(1, 60))
        mean = mean_over_queries(values, np.ones((1, 60), bool), drawn_queries(60, 300, trial))
        hits += mean.interval[0] <= 1 <= mean.interval[1]
    assert 175 <= hits <= 199


def test_shapes_that_differ_and_infinity_are_refused():
    drawn = drawn_queries(3, 100, 0)
    text = (
        "values are [1, 2], kept is [1, 2] and drawn is [100, 3]; expected [models, queries] twice "
        "and [resamples, queries]"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        mean_over_queries(np.ones((1, 2)), np.ones((1, 2), bool), drawn)
    with pytest.raises(EvaluationError, match=re.escape("values[0, 1] is inf")):
        mean_over_queries(np.array([[1, np.inf, 2]]), np.ones((1, 3), bool), drawn)
