"""The split is scikit-learn's, row for row."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from hessinf.data import DataError
from hessinf.data.random_split import random_group_split, random_split


@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_equals_scikit_learn(seed: int, stratify: bool) -> None:
    random = np.random.default_rng(seed)
    classes = int(random.integers(2, 12))
    # Some classes of one size, so that what rounding leaves has to be drawn.
    sizes = random.choice([7, 10, int(random.integers(5, 90))], size=classes)
    targets = random.permutation(np.repeat(np.arange(classes), sizes))
    ratio = float(random.uniform(0.2, 0.8))
    expected = train_test_split(
        np.arange(len(targets)),
        test_size=ratio,
        random_state=seed,
        stratify=targets if stratify else None,
    )
    found = random_split(targets, ratio, seed, stratify=stratify)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_leaves_the_global_generator_alone() -> None:
    np.random.seed(3)
    random_split(np.arange(10) % 2, 0.5, 0, stratify=True)
    assert np.random.rand() == np.random.RandomState(3).rand()


@pytest.mark.parametrize(
    ("ratio", "stratify", "text"),
    [
        (0.99, False, "The test split would have all of them"),
        (
            0.1,
            True,
            "The test split would have 1 example, fewer than there are classes (3)",
        ),
        (
            0.8,
            True,
            "The training split would have 1 example, fewer than there are classes (3)",
        ),
    ],
)
def test_impossible_splits_are_refused(ratio: float, stratify: bool, text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        random_split(np.arange(9) % 3, ratio, 0, stratify=stratify)


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_not_divided(seed):
    groups = np.random.RandomState(seed).randint(0, 30, size=200)
    train, test = random_group_split(groups, 0.2, seed)
    assert sorted([*train, *test]) == list(range(200))
    assert not {*groups[train]} & {*groups[test]}
    assert len({*groups[test]}) == int(np.ceil(0.2 * len({*groups})))
    assert train.tolist() != sorted(train)
    again = random_group_split(groups, 0.2, seed)
    assert [part.tolist() for part in again] == [train.tolist(), test.tolist()]
