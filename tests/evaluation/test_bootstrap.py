from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from hessinf.evaluation.bootstrap import (
    intervals,
    paired_difference,
    resampled_correlations,
    without_bias,
)
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.rank_correlation import spearman
from hessinf.evaluation.resampling import (
    Resamples,
    draw_resamples,
)


def rows(
    seed: int, *, queries: int = 5, subsets: int = 30, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and values, ``[Q, m]`` each, with ties."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(queries, subsets))
    return np.round(values + noise * random.normal(size=values.shape), 1), values


def repeated(row: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.repeat(row, counts)


class TestResampledCorrelations:
    @pytest.mark.parametrize("seed", range(8))
    def test_they_are_those_of_the_repeated_subsets(self, seed: int) -> None:
        predictions, values = rows(seed)
        counts = draw_resamples(queries=5, subsets=30, resamples=12, seed=seed).subsets
        found = resampled_correlations(predictions, values, counts)
        for resample, draws in enumerate(counts):
            for query in range(5):
                expected = stats.spearmanr(
                    repeated(predictions[query], draws), repeated(values[query], draws)
                ).statistic
                assert found[resample, query] == pytest.approx(expected, abs=1e-14)

    def test_each_subset_once_is_the_correlation_itself(self) -> None:
        predictions, values = rows(9)
        found = resampled_correlations(predictions, values, np.ones((1, 30)))
        np.testing.assert_allclose(found[0], spearman(predictions, values), rtol=0, atol=1e-15)

    def test_many_subsets_are_computed_in_float64(self) -> None:
        predictions, values = rows(10, queries=2, subsets=300)  # 300³ > 2²⁴
        counts = draw_resamples(queries=2, subsets=300, resamples=3, seed=0).subsets
        found = resampled_correlations(predictions, values, counts)
        expected = stats.spearmanr(
            repeated(predictions[1], counts[2]), repeated(values[1], counts[2])
        ).statistic
        assert found[2, 1] == pytest.approx(expected, abs=1e-14)

    def test_largest_float32_case_is_exact(self) -> None:
        values = np.arange(256.0)[None]  # 256³ = 2²⁴
        found = resampled_correlations(-values, values, np.ones((1, 256)))
        assert found.tolist() == [[-1.0]]

    def test_several_models_share_the_resamples(self) -> None:
        predictions, values = rows(11)
        counts = draw_resamples(queries=5, subsets=30, resamples=6, seed=1).subsets
        found = resampled_correlations(np.stack([predictions, -predictions]), values, counts)
        assert found.shape == (2, 6, 5)
        assert np.array_equal(found[0], -found[1])
        assert np.array_equal(found[0], resampled_correlations(predictions, values, counts))

    def test_constant_sides_are_nan(self) -> None:
        predictions, values = rows(12)
        predictions[1] = 0.5
        values[3] = 2.0
        counts = np.concatenate([np.ones((1, 30)), 30 * np.eye(30)[:1]])  # all; one, 30 times
        found = resampled_correlations(predictions, values, counts)
        assert np.isnan(found[0]).tolist() == [False, True, False, True, False]
        assert np.isnan(found[1]).all()

    def test_nan_is_refused_with_its_place(self) -> None:
        predictions, values = rows(13)
        predictions[2, 7] = np.nan
        with pytest.raises(EvaluationError, match=re.escape("predictions[2, 7] is nan")):
            resampled_correlations(predictions, values, np.ones((1, 30)))

    def test_other_shapes_are_refused(self) -> None:
        predictions, values = rows(14)
        text = "predictions has shape [4, 30], that is 4 queries; expected 5 queries"
        with pytest.raises(EvaluationError, match=re.escape(text)):
            resampled_correlations(predictions[:4], values, np.ones((1, 30)))
        with pytest.raises(EvaluationError, match=re.escape("that is 30 subsets; expected 29")):
            resampled_correlations(predictions, values, np.ones((1, 29)))


class TestIntervals:
    def test_two_way_is_wider_than_either_way(self) -> None:
        predictions, values = rows(20, queries=40, subsets=60)
        drawn = draw_resamples(queries=40, subsets=60, resamples=1000, seed=0)
        once = spearman(predictions, values)
        found = intervals(once, resampled_correlations(predictions, values, drawn.subsets), drawn)
        width = {name: high - low for name, (low, high) in vars(found).items()}
        assert width["two_way"] > width["queries"]
        assert width["two_way"] > width["subsets"]
        for low, high in vars(found).values():
            assert low < once.mean() < high

    def test_the_value_is_no_middle_of_its_interval(self) -> None:
        # The seed's original code reports the midpoint of a skewed interval as the mean.
        predictions, values = rows(21, queries=3, subsets=12, noise=0.3)
        drawn = draw_resamples(queries=3, subsets=12, resamples=1000, seed=0)
        once = spearman(predictions, values)
        resampled = resampled_correlations(predictions, values, drawn.subsets)
        low, high = intervals(once, resampled, drawn).two_way
        assert low < once.mean() < high
        assert abs((low + high) / 2 - once.mean()) > 0.02

    def test_holds_values_near_one(self) -> None:
        # Subsets that are drawn twice are tied, which lowers correlations near 1 by more than the
        # interval is wide.
        predictions, values = rows(23, queries=60, subsets=100, noise=0.05)
        drawn = draw_resamples(queries=60, subsets=100, resamples=1000, seed=0)
        once = spearman(predictions, values)
        resampled = resampled_correlations(predictions, values, drawn.subsets)
        assert np.quantile(resampled.mean(axis=1), 0.975) < once.mean()
        found = intervals(once, resampled, drawn)
        for low, high in (found.two_way, found.subsets):
            assert low < once.mean() < high

    def test_holds_correlations_only(self) -> None:
        predictions, values = rows(24, queries=1, subsets=6, noise=0.5)
        drawn = draw_resamples(queries=1, subsets=6, resamples=1000, seed=0)
        once = spearman(predictions, values)
        assert once[0] > 0.5
        resampled = resampled_correlations(predictions, values, drawn.subsets)
        assert without_bias(once[0], resampled[:, 0]).max() > 1
        assert intervals(once, resampled, drawn).two_way[1] == 1.0

    def test_interval_over_queries_is_that_of_the_textbook(self) -> None:
        once = np.random.default_rng(22).normal(0.4, 0.1, 200)
        drawn = draw_resamples(queries=200, subsets=3, resamples=4000, seed=0)
        low, high = intervals(once, np.tile(once, (4000, 1)), drawn).queries
        half = 1.96 * once.std() / np.sqrt(200)
        assert low == pytest.approx(once.mean() - half, abs=0.002)
        assert high == pytest.approx(once.mean() + half, abs=0.002)

    @pytest.mark.parametrize("which", ["two_way", "queries", "subsets"])
    def test_coverage(self, which: str) -> None:
        # Queries differ in how well they can be predicted, and subsets share noise between queries.
        def draw(
            random: np.random.Generator, skills: np.ndarray, subsets: int
        ) -> tuple[np.ndarray, np.ndarray]:
            shared = random.normal(size=(len(skills), 6)) @ random.normal(size=(6, subsets))
            signal = shared / np.sqrt(6) + random.normal(size=shared.shape)
            noise = random.normal(size=shared.shape)
            return skills[:, None] * signal + noise, signal

        random = np.random.default_rng(0)
        truth = spearman(*draw(random, random.uniform(0, 1.5, 1000), 1000)).mean()
        covered = 0
        trials = 40
        for trial in range(trials):
            skills = random.uniform(0, 1.5, 30)
            target = truth
            if which == "subsets":  # with these queries
                target = spearman(*draw(random, np.repeat(skills, 10), 300)).mean()
            predictions, values = draw(random, skills, 60)
            drawn = draw_resamples(queries=30, subsets=60, resamples=300, seed=trial)
            found = intervals(
                spearman(predictions, values),
                resampled_correlations(predictions, values, drawn.subsets),
                drawn,
            )
            low, high = getattr(found, which)
            covered += low <= target <= high
        # 0.95 loosely: 40 trials of a small case. Over queries alone, what subsets add is missed.
        least = {"two_way": 0.88, "queries": 0.7, "subsets": 0.8}[which]
        assert covered / trials >= least


class TestPairedDifference:
    def setup_method(self) -> None:
        self.drawn = draw_resamples(queries=40, subsets=60, resamples=1000, seed=0)

    def resampled(self, predictions: np.ndarray, values: np.ndarray) -> np.ndarray:
        return resampled_correlations(predictions, values, self.drawn.subsets)

    def test_a_row_does_not_differ_from_itself(self) -> None:
        resampled = self.resampled(*rows(30, queries=40, subsets=60))
        assert paired_difference(0.0, resampled, resampled, self.drawn) == (0.0, 0.0)

    def test_pairs_show_small_differences_that_intervals_of_rows_hide(self) -> None:
        predictions, values = rows(31, queries=40, subsets=60)
        worse = predictions + 0.6 * np.random.default_rng(1).normal(size=predictions.shape)
        left, right = self.resampled(predictions, values), self.resampled(worse, values)
        once = spearman(predictions, values), spearman(worse, values)
        difference = float((once[0] - once[1]).mean())
        low, high = paired_difference(difference, left, right, self.drawn)
        assert 0 < low < difference < high
        turned = paired_difference(-difference, right, left, self.drawn)
        assert turned == (pytest.approx(-high), pytest.approx(-low))
        one = intervals(once[0], left, self.drawn).two_way
        other = intervals(once[1], right, self.drawn).two_way
        assert one[0] < other[1]  # they overlap
        assert high - low < 0.7 * (one[1] - one[0])

    def test_queries_without_a_correlation_on_one_side_are_left_out_of_both(self) -> None:
        left = np.array([[0.5, np.nan, 0.7]] * 4)
        right = np.array([[0.4, 0.9, 0.6]] * 4)
        drawn = Resamples(np.ones((4, 3), dtype=int), np.ones((4, 2), dtype=int))
        low, high = paired_difference(0.1, left, right, drawn)
        assert (low, high) == (pytest.approx(0.1), pytest.approx(0.1))
