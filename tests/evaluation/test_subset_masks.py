from __future__ import annotations

import re

import numpy as np
import pytest

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.subset_masks import draw_masks, subset_size


@pytest.mark.parametrize(
    ("alpha", "examples", "size"),
    [
        (0.5, 9, 4),
        (0.29, 100, 29),
        (0.7, 10, 7),
        (0.1, 30, 3),
        (1e-05, 200_000, 2),
        (0.99, 100, 99),
    ],
)
def test_size_is_the_floor_of_alpha_as_it_is_written(
    alpha: float, examples: int, size: int
) -> None:
    assert subset_size(alpha, examples) == size
    assert subset_size(np.float64(alpha), examples) == size


@pytest.mark.parametrize(("alpha", "size"), [(0.04, 0), (1.0, 20)])
def test_subsets_of_none_or_all_are_refused(alpha: float, size: int) -> None:
    text = (
        f"alpha {alpha:g} of 20 training examples gives subsets of {size}, expected at least 1 and "
        "fewer than 20"
    )
    with pytest.raises(EvaluationError, match=f"^{re.escape(text)}$"):
        subset_size(alpha, 20)


def test_every_subset_has_exactly_its_members() -> None:
    masks = draw_masks(examples=37, alpha=0.3, subsets=50, seed=0)
    assert masks.shape == (50, 37)
    assert masks.dtype == np.uint8
    assert set(masks.ravel().tolist()) == {0, 1}
    assert set(masks.sum(axis=1).tolist()) == {11}


def test_every_example_is_in_as_many_subsets_as_chance_says() -> None:
    masks = draw_masks(examples=20, alpha=0.5, subsets=4000, seed=1)
    deviation = masks.mean(axis=0) - 0.5  # [N], standard deviation 0.0079
    assert np.abs(deviation).max() < 0.032
    together = (masks.T.astype(float) @ masks) / 4000  # [N, N]
    off = together[~np.eye(20, dtype=bool)]
    assert off.mean() == pytest.approx(0.5 * 9 / 19)  # without replacement
    assert np.abs(off - 0.5 * 9 / 19).max() < 0.035


def test_the_same_seed_gives_the_same_and_more_subsets_keep_the_first() -> None:
    few = draw_masks(examples=30, alpha=0.5, subsets=5, seed=3)
    many = draw_masks(examples=30, alpha=0.5, subsets=9, seed=3)
    assert np.array_equal(few, many[:5])


def test_seeds_and_shares_draw_others() -> None:
    one = draw_masks(examples=30, alpha=0.5, subsets=5, seed=3)
    assert not np.array_equal(one, draw_masks(examples=30, alpha=0.5, subsets=5, seed=4))
    assert not np.array_equal(one, draw_masks(examples=30, alpha=0.51, subsets=5, seed=3))
