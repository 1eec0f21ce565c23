from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.lds import linear_datamodeling_scores, mean_of_defined, over_models
from hessinf.evaluation.subset_masks import draw_masks


def case(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores ``[6, 25]``, masks ``[15, 25]`` and values ``[15, 6]``."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(6, 25))
    masks = draw_masks(examples=25, alpha=0.5, subsets=15, seed=seed)
    values = masks @ scores.T + 2.0 * random.normal(size=(15, 6))
    return scores, masks, values


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scipy(seed: int) -> None:
    scores, masks, values = case(seed)
    expected = [
        stats.spearmanr(masks @ scores[query], values[:, query]).statistic for query in range(6)
    ]
    found = linear_datamodeling_scores(scores, masks, values)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_additive_truth_is_predicted_perfectly_and_negated_scores_are_minus_one() -> None:
    scores, masks, _ = case()
    values = np.tanh(masks @ scores.T)
    assert linear_datamodeling_scores(scores, masks, values).tolist() == [1.0] * 6
    assert linear_datamodeling_scores(-scores, masks, values).tolist() == [-1.0] * 6


def test_constants_and_factors_change_nothing() -> None:
    scores, masks, values = case()
    once = linear_datamodeling_scores(scores, masks, values)
    assert np.array_equal(linear_datamodeling_scores(8 * scores, masks, values), once)
    # All subsets have the same size, so that a constant for each query is one for each sum.
    shifted = scores + np.arange(6)[:, None]
    assert np.array_equal(linear_datamodeling_scores(shifted, masks, values), once)


def test_order_of_subsets_examples_and_queries_does_not_matter_to_the_bit() -> None:
    scores, masks, values = case()
    once = linear_datamodeling_scores(scores, masks, values)
    random = np.random.default_rng(9)
    subsets, examples, queries = (random.permutation(size) for size in (15, 25, 6))
    found = linear_datamodeling_scores(
        scores[queries][:, examples], masks[subsets][:, examples], values[subsets][:, queries]
    )
    assert np.array_equal(found, once[queries])


def test_constant_scores_have_no_correlation_and_are_kept() -> None:
    scores, masks, values = case()
    scores[2] = 1 / 3  # sums of equal scores must be ties, not ranked by rounding
    values[:, 4] = 0.25
    found = linear_datamodeling_scores(scores, masks, values)
    assert np.isnan(found).tolist() == [False, False, True, False, True, False]


def test_one_matrix_for_each_damping() -> None:
    scores, masks, values = case()
    found = linear_datamodeling_scores(np.stack([scores, -scores]), masks, values)
    assert found.shape == (2, 6)
    assert np.array_equal(found[0], -found[1])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("transposed scores", "scores has shape [25, 6], that is 25 queries; expected 6 queries"),
        ("values of other subsets", "values has shape [14, 6], that is 14 subsets; expected 15"),
        ("nan in values", "values[3, 1] is nan, expected finite numbers (1 of 90 are not)"),
        ("nan in scores", "scores[3, 17] is nan, expected finite numbers (1 of 150 are not)"),
        ("mask of 2", "masks[0, 0] is 2, expected 0 or 1"),
    ],
)
def test_what_does_not_fit_is_refused(change: str, text: str) -> None:
    scores, masks, values = case()
    if change == "transposed scores":
        scores = scores.T
    elif change == "values of other subsets":
        values = values[:14]
    elif change == "nan in values":
        values[3, 1] = np.nan
    elif change == "nan in scores":
        scores[3, 17] = np.nan
    else:
        masks[0, 0] = 2
    with pytest.raises(EvaluationError, match=re.escape(text)):
        linear_datamodeling_scores(scores, masks, values)


def test_mean_leaves_out_what_is_not_defined_and_nothing_else() -> None:
    nan = float("nan")
    assert mean_of_defined(np.array([0.5, nan, 0.1])) == pytest.approx(0.3)
    assert np.isnan(mean_of_defined(np.array([nan, nan])))
    assert mean_of_defined(np.array([[0.5, nan], [0.1, nan]])) == pytest.approx(0.3)


def test_mean_over_models_weighs_queries_alike() -> None:
    nan = float("nan")
    several = np.array([[0.2, nan, nan], [0.4, 0.6, nan]])
    found = over_models(several)
    np.testing.assert_allclose(found, [0.3, 0.6, nan])
    assert mean_of_defined(several) == pytest.approx(0.45)
