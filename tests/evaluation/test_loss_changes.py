"""Loss changes that follow from scores alone."""

from __future__ import annotations

import numpy as np
import pytest

from hessinf.evaluation import EvaluationError
from hessinf.evaluation.loss_changes import changes_from_scores, subset_changes_from_scores

SCORES = np.random.default_rng(0).standard_normal((3, 8))


def test_a_renormalised_mean_is_centred() -> None:
    found = changes_from_scores(SCORES, np.arange(8), "mean")
    np.testing.assert_allclose(found, (SCORES - SCORES.mean(axis=1, keepdims=True)) / 7)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-15)


@pytest.mark.parametrize("reduction", ["sum", "mean-fixed"])
def test_what_keeps_its_divisor_is_not(reduction: str) -> None:
    np.testing.assert_allclose(changes_from_scores(SCORES, np.arange(8), reduction), SCORES / 8)


def test_columns_belong_to_indices_in_their_order() -> None:
    """The mean is still over all training examples."""
    indices = np.array([6, 1, 3])
    found = changes_from_scores(SCORES, indices, "mean")
    np.testing.assert_array_equal(
        found, changes_from_scores(SCORES, np.arange(8), "mean")[:, indices]
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "mean-fixed"])
def test_leaving_one_out_as_a_subset(reduction: str) -> None:
    masks = 1 - np.eye(8)
    found = subset_changes_from_scores(SCORES, masks, reduction)
    np.testing.assert_allclose(found, changes_from_scores(SCORES, np.arange(8), reduction))


def test_leaving_some_out_adds_up_for_a_fixed_divisor() -> None:
    masks = np.array([[1, 0, 1, 1, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1, 0]])
    found = subset_changes_from_scores(SCORES, masks, "mean-fixed")
    np.testing.assert_allclose(found[:, 0], (SCORES[:, 1] + SCORES[:, 4]) / 8)
    np.testing.assert_allclose(found[:, 1], SCORES[:, [0, 1, 2, 7]].sum(axis=1) / 8)


def test_scores_of_other_data() -> None:
    with pytest.raises(EvaluationError) as raised:
        subset_changes_from_scores(SCORES, np.ones((4, 9)), "mean")
    assert str(raised.value) == (
        "scores has shape [3, 8], that is 8 training examples; expected 9 training examples, as "
        "the other arrays have: [queries, training examples] (axis 1)"
    )
