from __future__ import annotations

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.resampling import (
    defined_interval,
    draw_resamples,
    percentile_interval,
    weighted_means,
)


class TestDrawing:
    def test_every_resample_draws_as_many_as_there_are(self) -> None:
        drawn = draw_resamples(queries=7, subsets=11, resamples=200, seed=0)
        assert drawn.queries.shape == (200, 7)
        assert drawn.subsets.shape == (200, 11)
        assert set(drawn.queries.sum(axis=1).tolist()) == {7}
        assert set(drawn.subsets.sum(axis=1).tolist()) == {11}

    def test_counts_are_those_of_drawing_with_replacement(self) -> None:
        drawn = draw_resamples(queries=7, subsets=11, resamples=20_000, seed=1)
        # A count is binomial: its mean is 1, its variance 1 - 1/m.
        assert drawn.subsets.mean(axis=0) == pytest.approx(np.ones(11), abs=0.03)
        assert drawn.subsets.var(axis=0) == pytest.approx(np.full(11, 10 / 11), abs=0.05)
        together = np.corrcoef(drawn.queries[:, 0], drawn.subsets[:, 0])[0, 1]
        assert abs(together) < 0.03

    def test_the_seed_decides(self) -> None:
        one, same, other = (
            draw_resamples(queries=7, subsets=11, resamples=50, seed=seed) for seed in (2, 2, 3)
        )
        assert np.array_equal(one.subsets, same.subsets)
        assert np.array_equal(one.queries, same.queries)
        assert not np.array_equal(one.subsets, other.subsets)


class TestMeansAndPercentiles:
    def test_means_weigh_queries_by_their_draws_and_leave_out_nan(self) -> None:
        nan = float("nan")
        correlations = np.array([[0.1, 0.4, nan], [nan, nan, 0.3]])
        queries = np.array([[2, 1, 0], [1, 2, 0]])
        found = weighted_means(correlations, queries)
        np.testing.assert_allclose(found, [0.2, nan])

    def test_one_row_serves_all_resamples(self) -> None:
        found = weighted_means(np.array([0.0, 1.0]), np.array([[2, 0], [1, 1]]))
        assert found.tolist() == [0.0, 0.5]

    def test_interval_holds_the_middle_95_percent(self) -> None:
        low, high = percentile_interval(np.append(np.arange(1001.0), np.nan))
        assert (low, high) == (pytest.approx(25), pytest.approx(975))

    def test_no_number_is_refused(self) -> None:
        text = "no resample has a number: there is none to give an interval of"
        with pytest.raises(EvaluationError, match=f"^{text}$"):
            percentile_interval(np.full(5, np.nan))

    def test_where_there_may_be_none(self) -> None:
        assert defined_interval(np.full(5, np.nan)) is None
        assert defined_interval(np.array([0.1, np.nan, 0.1])) == (0.1, 0.1)
