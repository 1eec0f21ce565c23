from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.rank_correlation import average_ranks, correlation_of_ranks, spearman


def tied(random: np.random.Generator, shape: tuple[int, ...], levels: int) -> np.ndarray:
    return random.integers(0, levels, shape) * 0.1 - 0.3


class TestAverageRanks:
    def test_known_ranks(self) -> None:
        assert average_ranks(np.array([3.0, 1.0, 3.0, 2.0, 3.0])).tolist() == [4, 1, 4, 2, 4]

    def test_zeros_of_both_signs_are_equal(self) -> None:
        assert average_ranks(np.array([0.0, -0.0, 1.0])).tolist() == [1.5, 1.5, 3]

    @pytest.mark.parametrize("seed", range(20))
    def test_ranks_are_those_of_scipy(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        size, levels = int(random.integers(1, 40)), int(random.integers(1, 30))
        values = tied(random, (3, 4, size), levels)
        assert np.array_equal(average_ranks(values), stats.rankdata(values, axis=-1))

    def test_integers_are_ranked(self) -> None:
        assert average_ranks(np.array([[5, 5, -1]])).tolist() == [[2.5, 2.5, 1]]

    def test_nan_is_refused(self) -> None:
        with pytest.raises(EvaluationError, match=re.escape("values[1] is nan, expected finite")):
            average_ranks(np.array([1.0, np.nan]))


class TestSpearman:
    @pytest.mark.parametrize("seed", range(20))
    def test_correlations_with_ties_are_those_of_scipy(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        size = int(random.integers(4, 60))
        left, right = tied(random, (7, size), 6), tied(random, (7, size), 50)
        left[:, 0] += 1  # no row is constant
        right[:, 1] -= 20
        expected = [stats.spearmanr(a, b).statistic for a, b in zip(left, right, strict=True)]
        np.testing.assert_allclose(spearman(left, right), expected, rtol=0, atol=1e-14)

    def test_any_increasing_function_keeps_it_to_the_bit(self) -> None:
        random = np.random.default_rng(1)
        left, right = random.normal(size=(5, 30)), random.normal(size=(5, 30))
        once = spearman(left, right)
        assert np.array_equal(spearman(np.exp(left), right**3), once)
        assert np.array_equal(spearman(-left, right), -once)

    def test_order_of_the_pairs_does_not_matter_to_the_bit(self) -> None:
        random = np.random.default_rng(2)
        left, right = tied(random, (5, 30), 9), random.normal(size=(5, 30))
        order = random.permutation(30)
        assert np.array_equal(spearman(left[:, order], right[:, order]), spearman(left, right))

    def test_equal_and_opposite_orders_are_exactly_one(self) -> None:
        values = np.random.default_rng(3).normal(size=(4, 101))
        assert spearman(values, np.arctan(values)).tolist() == [1.0] * 4
        assert spearman(values, -values).tolist() == [-1.0] * 4

    def test_constant_rows_have_none_and_are_kept(self) -> None:
        left = np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
        right = np.array([[1.0, 2.0, 3.0], [4.0, 4.0, 4.0], [1.0, 2.0, 3.0]])
        found = spearman(left, right)
        assert np.isnan(found).tolist() == [True, True, False]

    def test_axes_before_the_last_are_broadcast(self) -> None:
        random = np.random.default_rng(4)
        left, right = random.normal(size=(2, 3, 4, 9)), random.normal(size=(4, 9))
        found = spearman(left, right)
        assert found.shape == (2, 3, 4)
        assert found[1, 2, 3] == spearman(left[1, 2, 3], right[3])

    @pytest.mark.parametrize("side", [0, 1])
    def test_numbers_that_are_not_finite_are_refused(self, side: int) -> None:
        sides = [np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3)]
        sides[side][1, 2] = np.nan
        with pytest.raises(EvaluationError, match=re.escape("values[1, 2] is nan")):
            spearman(*sides)

    def test_ranks_that_are_there_are_correlated(self) -> None:
        assert correlation_of_ranks(np.array([1.5, 1.5, 3]), np.array([1, 2, 3.0])) == (
            pytest.approx(stats.spearmanr([0, 0, 1], [1, 2, 3]).statistic)
        )
