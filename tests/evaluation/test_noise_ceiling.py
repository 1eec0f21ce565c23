from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.noise_ceiling import UNKNOWN, noise_ceiling, spearman_brown
from hessinf.evaluation.rank_correlation import spearman


def noisy(
    *, subsets: int, repeats: int, queries: int, noise: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a truth ``[m, Q]``, and repeats of it with noise ``[m, R, Q]``."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(subsets, queries))
    return truth, truth[:, None] + noise * random.normal(size=(subsets, repeats, queries))


def test_known_reliabilities() -> None:
    # The pilot: r1 0.397, five repeats, reliability 0.767, attainable 0.876.
    assert spearman_brown(0.397, 5) == pytest.approx(0.767, abs=5e-4)
    assert np.sqrt(spearman_brown(0.397, 5)) == pytest.approx(0.876, abs=5e-4)
    assert spearman_brown(0.5, 1) == 0.5
    assert spearman_brown(1.0, 3) == 1.0
    assert spearman_brown(-0.2, 5) == 0.0


def test_single_correlation_is_the_mean_over_all_pairs_of_repeats() -> None:
    _, values = noisy(subsets=30, repeats=4, queries=5, noise=1.0, seed=0)
    found = noise_ceiling(values)
    assert found is not None
    expected = [
        np.mean(
            [
                stats.spearmanr(values[:, a, query], values[:, b, query]).statistic
                for a, b in combinations(range(4), 2)
            ]
        )
        for query in range(5)
    ]
    np.testing.assert_allclose(found.per_query, expected, atol=1e-14)
    assert found.single == pytest.approx(np.mean(expected))
    assert found.reliability == pytest.approx(spearman_brown(found.single, 4))
    assert found.attainable == pytest.approx(np.sqrt(found.reliability))


@pytest.mark.parametrize("repeats", [2, 5])
@pytest.mark.parametrize("noise", [0.7, 1.5])
def test_ceiling_is_what_the_noiseless_truth_reaches(repeats: int, noise: float) -> None:
    truth, values = noisy(subsets=400, repeats=repeats, queries=60, noise=noise, seed=1)
    found = noise_ceiling(values)
    assert found is not None
    reached = spearman(truth.T, values.mean(axis=1).T).mean()
    assert found.attainable == pytest.approx(reached, abs=0.015)


def test_raw_correlation_of_repeats_is_below_the_ceiling() -> None:
    _, values = noisy(subsets=200, repeats=2, queries=20, noise=1.0, seed=2)
    found = noise_ceiling(values)
    assert found is not None
    assert found.single < found.reliability < found.attainable
    assert found.attainable - found.single > 0.2


def test_one_repeat_has_no_ceiling_and_the_reason_is_said() -> None:
    _, values = noisy(subsets=10, repeats=1, queries=3, noise=1.0, seed=3)
    assert noise_ceiling(values) is None
    assert UNKNOWN == (
        "each subset was retrained once, so that the noise of retraining, and with it the highest "
        "LDS that can be attained, are unknown; repeats: 3 to 5 shows them, and lowers the noise"
    )


def test_repeats_that_do_not_agree_attain_nothing() -> None:
    values = np.stack([np.arange(9.0), -np.arange(9.0)], axis=1)[:, :, None]
    found = noise_ceiling(values)
    assert found is not None
    assert (found.single, found.reliability, found.attainable) == (-1.0, 0.0, 0.0)


def test_constant_repeats_are_counted() -> None:
    _, values = noisy(subsets=10, repeats=3, queries=4, noise=0.1, seed=4)
    values[:, 1, 2] = 7.0
    found = noise_ceiling(values)
    assert found is not None
    assert found.missing == 1
    assert found.to_json()["missing"] == 1
    assert found.single == pytest.approx(np.nanmean(found.per_query))


def test_all_constant_has_no_ceiling() -> None:
    assert noise_ceiling(np.ones((5, 3, 2))) is None


def test_numbers_that_are_not_finite_are_refused() -> None:
    values = np.ones((5, 3, 2))
    values[4, 0, 1] = np.inf
    with pytest.raises(EvaluationError, match=re.escape("values[4, 0, 1] is inf")):
        noise_ceiling(values)
    with pytest.raises(
        EvaluationError,
        match=re.escape("values has shape [5, 3], expected [subsets, repeats, queries]"),
    ):
        noise_ceiling(np.ones((5, 3)))
