from __future__ import annotations

import re

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.subset_truth import SubsetTruth

MASKS = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 0]])


def test_repeats_are_kept_and_averaged() -> None:
    values = np.arange(12.0).reshape(3, 2, 2)
    truth = SubsetTruth.from_arrays(MASKS, values, higher_is_better=True)
    assert (truth.subsets, truth.repeats, truth.queries) == (3, 2, 2)
    assert truth.alpha == 0.5
    assert truth.masks.dtype == np.uint8
    assert truth.values.dtype == np.float32
    assert truth.means.tolist() == values.mean(axis=1).tolist()


def test_values_without_repeats_have_one() -> None:
    truth = SubsetTruth.from_arrays(MASKS, np.ones((3, 5)), higher_is_better=True, alpha=0.6)
    assert truth.values.shape == (3, 1, 5)
    assert truth.alpha == 0.6
    assert truth.ceiling(np.arange(5)) is None


def test_losses_are_turned() -> None:
    losses = np.array([[0.1], [0.2], [0.3]])
    truth = SubsetTruth.from_arrays(MASKS, losses, higher_is_better=False)
    assert truth.means[:, 0].tolist() == (-losses[:, 0]).astype(np.float32).tolist()


def test_ceiling_is_that_of_the_queries_asked_for() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(3, 2, 2))
    values[:, 1, 0] = values[:, 0, 0]  # the first query has no noise
    values[:, 1, 1] = -values[:, 0, 1]
    truth = SubsetTruth.from_arrays(MASKS, values, higher_is_better=True)
    first, second = truth.ceiling(np.array([0])), truth.ceiling(np.array([1]))
    assert first is not None
    assert second is not None
    assert (first.attainable, second.attainable) == (1.0, 0.0)


def test_facts() -> None:
    truth = SubsetTruth(
        MASKS.astype(np.uint8),
        np.zeros((3, 2, 5), dtype=np.float32),
        0.5,
        np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32),
    )
    assert truth.facts() == {
        "alpha": 0.5,
        "subsets": 3,
        "members": 2,
        "repeats": 2,
        "training_loss": {"smallest": 1.0, "median": 3.5, "largest": 6.0},
    }


def test_subsets_of_different_sizes_are_listed() -> None:
    truth = SubsetTruth.from_arrays([[1, 0, 0], [1, 1, 0]], np.ones((2, 1)), higher_is_better=True)
    assert truth.facts()["members"] == [1, 2]
    assert "training_loss" not in truth.facts()


@pytest.mark.parametrize(
    ("masks", "values", "text"),
    [
        ([[1, 0], [2, 0]], np.ones((2, 3)), "masks[1, 0] is 2, expected 0 or 1"),
        ([[1, 0], [1, 1]], np.ones((2, 3)), "masks[1] has 2 of 2 training examples"),
        (
            [[1, 0], [0, 1]],
            np.ones((3, 3)),
            "values has shape [3, 3], that is 3 subsets; expected 2",
        ),
        ([[1, 0], [0, 1]], np.ones(2), "values has shape [2], expected [subsets, queries]"),
        ([[1, 0], [0, 1]], np.array([[1, np.nan], [1, 2]]), "values[0, 1] is nan"),
        (np.ones((2, 2, 2)), np.ones((2, 3)), "masks has shape [2, 2, 2], expected [subsets, "),
    ],
)
def test_arrays_that_are_no_truth_are_refused(masks: object, values: np.ndarray, text: str) -> None:
    with pytest.raises(EvaluationError, match=re.escape(text)):
        SubsetTruth.from_arrays(masks, values, higher_is_better=True)


def test_truth_of_other_data_is_refused() -> None:
    truth = SubsetTruth.from_arrays(MASKS, np.ones((3, 5)), higher_is_better=True)
    truth.require(examples=4, queries=5)
    text = "the ground truth has 5 queries, the problem has 6: it was made with other data"
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        truth.require(examples=4, queries=6)
    with pytest.raises(EvaluationError, match=re.escape("has 4 training examples, the problem")):
        truth.require(examples=5, queries=5)
