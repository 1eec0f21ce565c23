"""Agreement of loss changes: known answers, other programs, planted errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hessinf.evaluation import EvaluationError
from hessinf.evaluation.change_agreement import (
    compare_changes,
    pearson,
    pearson_intervals,
    resampled_pearson,
)
from hessinf.evaluation.resampling import draw_resamples, percentile_interval


def pairs(seed: int = 0, queries: int = 5, changes: int = 40) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    true = random.standard_normal((queries, changes))
    return true + 0.5 * random.standard_normal((queries, changes)), true


class TestKnownAnswers:
    def test_half_of_the_truth_has_slope_two(self) -> None:
        _, true = pairs()
        found = compare_changes(0.5 * true - 1.0, true)
        assert found.pearson == pytest.approx(1.0, abs=1e-12)
        assert found.spearman == pytest.approx(1.0, abs=1e-12)
        assert found.slope == pytest.approx(2.0, abs=1e-12)
        assert found.intercept == pytest.approx(2.0, abs=1e-12)
        np.testing.assert_allclose(found.pearsons, 1.0, atol=1e-12)

    def test_the_truth_has_no_error_and_zero_has_all(self) -> None:
        _, true = pairs()
        true -= true.mean()
        assert compare_changes(true, true).relative_error == 0.0
        assert compare_changes(np.zeros_like(true), true).relative_error == pytest.approx(1.0)

    def test_scipy(self) -> None:
        predicted, true = pairs(3)
        found = compare_changes(predicted, true)
        line = stats.linregress(predicted.ravel(), true.ravel())
        assert found.pearson == pytest.approx(line.rvalue, abs=1e-12)
        assert found.slope == pytest.approx(line.slope, abs=1e-12)
        assert found.intercept == pytest.approx(line.intercept, abs=1e-12)
        assert found.spearman == pytest.approx(
            stats.spearmanr(predicted.ravel(), true.ravel()).statistic, abs=1e-12
        )
        for row in range(len(true)):
            assert found.pearsons[row] == pytest.approx(
                stats.pearsonr(predicted[row], true[row]).statistic, abs=1e-12
            )
        written = found.to_json()
        assert written["pearson_mean"] == pytest.approx(found.pearsons.mean())
        assert written["pearson_min"] == pytest.approx(found.pearsons.min())
        assert written["spearman_min"] == pytest.approx(found.spearmans.min())
        assert written["undefined_queries"] == 0

    def test_a_constant_has_no_correlation(self) -> None:
        """Of one query: counted. Of all: null."""
        predicted, true = pairs()
        predicted[2] = 0.1
        written = compare_changes(predicted, true).to_json()
        assert written["undefined_queries"] == 1
        assert written["pearson"] is not None
        nothing = compare_changes(np.full_like(true, 0.1), true).to_json()
        assert nothing["pearson"] is None
        assert nothing["slope"] is None
        assert nothing["pearson_mean"] is None
        assert nothing["undefined_queries"] == len(true)

    @pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
    def test_units_do_not_matter(self, size: float) -> None:
        predicted, true = pairs(5)
        found, scaled = compare_changes(predicted, true), compare_changes(predicted, size * true)
        assert scaled.pearson == pytest.approx(found.pearson, abs=1e-12)
        assert scaled.slope == pytest.approx(size * found.slope)


class TestBootstrap:
    def test_repeating_rows_and_columns(self) -> None:
        predicted, true = pairs(7)
        resamples = draw_resamples(queries=5, subsets=40, resamples=20, seed=1)
        found = resampled_pearson(predicted, true, resamples.queries, resamples.subsets)
        for draw in range(20):
            rows = np.repeat(np.arange(5), resamples.queries[draw])
            columns = np.repeat(np.arange(40), resamples.subsets[draw])
            x, y = predicted[rows][:, columns], true[rows][:, columns]
            assert found[draw] == pytest.approx(float(pearson(x.ravel(), y.ravel())), abs=1e-10)

    def test_intervals_hold_the_value(self) -> None:
        predicted, true = pairs(9)
        resamples = draw_resamples(queries=5, subsets=40, resamples=500, seed=1)
        intervals, replicates = pearson_intervals(predicted, true, resamples)
        value = compare_changes(predicted, true).pearson
        assert intervals["two_way"] == percentile_interval(replicates)
        for low, high in intervals.values():
            assert low < value < high
        widths = {name: high - low for name, (low, high) in intervals.items()}
        assert widths["two_way"] > widths["changes"]

    def test_an_interval_of_nothing_is_null(self) -> None:
        _, true = pairs()
        resamples = draw_resamples(queries=5, subsets=40, resamples=100, seed=1)
        intervals, _ = pearson_intervals(np.full_like(true, 0.1), true, resamples)
        assert intervals == {"two_way": None, "queries": None, "changes": None}


class TestPlantedErrors:
    def test_transposed(self) -> None:
        predicted, true = pairs()
        with pytest.raises(EvaluationError) as raised:
            compare_changes(predicted.T, true)
        assert str(raised.value) == (
            "predicted changes has shape [40, 5], that is 40 queries; expected 5 queries, as the "
            "other arrays have: [queries, changes] (axis 0)"
        )

    def test_not_a_number(self) -> None:
        predicted, true = pairs()
        true[1, 3] = np.nan
        with pytest.raises(EvaluationError, match=r"^true changes\[1, 3\] is nan, expected finite"):
            compare_changes(predicted, true)

    def test_rows_in_another_order(self) -> None:
        """A known peer takes it for granted that row i is training example i."""
        predicted, true = pairs()
        found = compare_changes(predicted[:, ::-1], true)
        assert found.pearson < 0.3 < 0.8 < compare_changes(predicted, true).pearson
