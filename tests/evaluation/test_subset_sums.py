from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.subset_sums import binary_masks, subset_sums


def random_masks(random: np.random.Generator, subsets: int, examples: int) -> np.ndarray:
    masks = (random.random((subsets, examples)) < 0.5).astype(np.uint8)
    masks[:, 0], masks[:, 1] = 1, 0
    return masks


class TestSubsetSums:
    @pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e9, 1e290])
    def test_sums_are_those_of_exact_arithmetic(self, scale: float) -> None:
        random = np.random.default_rng(0)
        scores = random.normal(size=(3, 40)) * scale
        masks = random_masks(random, 9, 40)
        found = subset_sums(scores, masks)
        for query in range(3):
            bound = 40 * 2.0**-52 * np.abs(scores[query]).sum()
            for subset in range(9):
                exact = sum(Fraction(x) for x in scores[query, masks[subset] == 1])
                assert abs(Fraction(found[query, subset]) - exact) <= Fraction(bound)

    def test_equal_scores_in_other_places_are_ties(self) -> None:
        # 0.1 has no exact float: ten of them, added in another order with zeros between, differ.
        random = np.random.default_rng(1)
        scores = np.where(random.random((4, 300)) < 0.5, 0.1, 0.7)
        masks = random_masks(random, 60, 300)
        found = subset_sums(scores, masks)
        members = masks.sum(axis=1, dtype=int)
        for query in range(4):
            large = masks @ (scores[query] == 0.7).astype(int)  # [m]
            groups = {(int(a), int(b)) for a, b in zip(members, large, strict=True)}
            assert len(np.unique(found[query])) <= len(groups)

    def test_constant_scores_give_constant_sums(self) -> None:
        masks = np.array([[1, 1, 0, 0, 1], [0, 1, 1, 1, 0]])
        found = subset_sums(np.full((1, 5), 1 / 3), masks)
        assert found[0, 0] == found[0, 1] == pytest.approx(1.0)

    def test_order_of_examples_does_not_change_a_bit(self) -> None:
        random = np.random.default_rng(2)
        scores, masks = random.normal(size=(5, 200)), random_masks(random, 30, 200)
        order = random.permutation(200)
        assert np.array_equal(
            subset_sums(scores[:, order], masks[:, order]), subset_sums(scores, masks)
        )

    def test_several_matrices_are_added_up_each_for_itself(self) -> None:
        random = np.random.default_rng(3)
        scores, masks = random.normal(size=(2, 3, 4, 20)), random_masks(random, 6, 20)
        found = subset_sums(scores, masks)
        assert found.shape == (2, 3, 4, 6)
        assert np.array_equal(found[1, 2], subset_sums(scores[1, 2], masks))

    def test_zeros_stay_zeros(self) -> None:
        assert subset_sums(np.zeros((1, 3)), np.array([[1, 0, 0]])).tolist() == [[0.0]]

    def test_transposed_scores_are_refused(self) -> None:
        masks = random_masks(np.random.default_rng(4), 6, 20)
        text = (
            "scores has shape [20, 4], that is 4 training examples; expected 20 training examples, "
            "as the other arrays have: [queries, training examples] (axis 1)"
        )
        with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
            subset_sums(np.ones((20, 4)), masks)

    def test_other_number_of_queries_is_refused(self) -> None:
        masks = random_masks(np.random.default_rng(5), 6, 20)
        with pytest.raises(EvaluationError, match=re.escape("that is 4 queries; expected 3")):
            subset_sums(np.ones((4, 20)), masks, queries=3)

    def test_nan_is_refused_with_its_place(self) -> None:
        scores = np.ones((4, 20))
        scores[3, 17] = np.nan
        with pytest.raises(EvaluationError, match=re.escape("scores[3, 17] is nan")):
            subset_sums(scores, random_masks(np.random.default_rng(6), 6, 20))

    def test_sums_beyond_float64_are_refused(self) -> None:
        text = "the scores of query 1 are so large that their sum is not finite; scale them"
        scores = np.ones((2, 3))
        scores[1] = 1e308
        with pytest.raises(EvaluationError, match=re.escape(text)):
            subset_sums(scores, np.array([[1, 0, 1]]))


class TestBinaryMasks:
    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
    def test_all_kinds_of_numbers_become_uint8(self, dtype: type) -> None:
        found = binary_masks(np.array([[1, 0, 1], [0, 1, 0]], dtype=dtype))
        assert found.dtype == np.uint8
        assert found.tolist() == [[1, 0, 1], [0, 1, 0]]

    @pytest.mark.parametrize("dtype", [np.uint8, np.float64])
    def test_other_numbers_are_refused(self, dtype: type) -> None:
        text = "masks[1, 2] is 2, expected 0 or 1: whether the training example is in the subset"
        with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
            binary_masks(np.array([[1, 0, 1], [0, 1, 2]], dtype=dtype))

    def test_indices_instead_of_masks_are_refused(self) -> None:
        with pytest.raises(EvaluationError, match=re.escape("masks[0, 0] is 17, expected 0 or 1")):
            binary_masks(np.array([[17, 3, 8]]))

    @pytest.mark.parametrize(("row", "count"), [([0, 0, 0], 0), ([1, 1, 1], 3)])
    def test_empty_and_full_subsets_are_refused(self, row: list[int], count: int) -> None:
        text = (
            f"masks[1] has {count} of 3 training examples: a subset without a member, or of all of "
            "them, says nothing of single examples"
        )
        with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
            binary_masks(np.array([[1, 0, 1], row]))

    @pytest.mark.parametrize("shape", [(3,), (0, 3), (2, 0)])
    def test_other_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        text = f"masks has shape {list(shape)}, expected [subsets, training examples]"
        with pytest.raises(EvaluationError, match=re.escape(text)):
            binary_masks(np.ones(shape, dtype=np.uint8))

    def test_nan_is_refused(self) -> None:
        with pytest.raises(EvaluationError, match=re.escape("masks[0, 1] is nan")):
            binary_masks(np.array([[1, np.nan]]))
