"""A random cut into a training and a test split: the one that scikit-learn draws.

``sklearn.model_selection.train_test_split`` gives the same rows for the same seed; importing it
takes longer than reading the data.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hessinf.data.errors import DataError, counted
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")


def random_split(
    targets: np.ndarray, test_ratio: float, seed: int, *, stratify: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the rows of a training and a test split, in order.

    Parameters
    ----------
    targets
        ``[N]``.
    test_ratio
        The share of the test split, between 0 and 1; rounded up to a whole number of rows.
    seed
        Decides which rows, and their order.
    stratify
        Whether targets are classes, of which both splits get the same share.

    Returns
    -------
    numpy.ndarray
        The rows of the training split.
    numpy.ndarray
        The rows of the test split; every row is in one of them.

    Raises
    ------
    DataError
        When a split would be empty, or have fewer rows than there are classes to share.
    """
    number = len(targets)
    test_size = math.ceil(test_ratio * number)
    if test_size == number:
        raise DataError("The test split would have all of them")
    # The streams of this generator are frozen; those of newer ones may change with NumPy.
    random = np.random.RandomState(seed)
    if not stratify:
        order = random.permutation(number)
        return order[test_size:], order[:test_size]
    _, members, sizes = np.unique(targets, return_inverse=True, return_counts=True)
    for name, size in (("test", test_size), ("training", number - test_size)):
        if size < len(sizes):
            raise DataError(
                f"The {name} split would have {counted(size, 'example')}, fewer than there are "
                f"classes ({len(sizes)})"
            )
    in_training = _shares(sizes, number - test_size, random)
    in_test = _shares(sizes - in_training, test_size, random)
    train, test = [], []
    rows_of_classes = np.split(np.argsort(members, kind="stable"), np.cumsum(sizes)[:-1])
    for rows, first, second in zip(rows_of_classes, in_training, in_test, strict=True):
        shuffled = rows[random.permutation(len(rows))]
        train.append(shuffled[:first])
        test.append(shuffled[first : first + second])
    return random.permutation(np.concatenate(train)), random.permutation(np.concatenate(test))


def random_group_split(
    groups: np.ndarray, test_ratio: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the rows of a training and a test split, so that no group is in both.

    Parameters
    ----------
    groups
        ``[N]``: the group of each row.
    test_ratio
        The share of groups in the test split, between 0 and 1; rounded up to a whole number.
    seed
        Decides which groups, and the order of rows.

    Returns
    -------
    numpy.ndarray
        The rows of the training split.
    numpy.ndarray
        The rows of the test split; every row is in one of them.

    Raises
    ------
    DataError
        When all groups would be in the test split.
    """
    names, group_of = np.unique(groups, return_inverse=True)  # [G], [N]
    _, tested = random_split(names, test_ratio, seed, stratify=False)
    order = np.random.RandomState(seed).permutation(len(group_of))  # [N]
    in_test = np.isin(group_of[order], tested)  # [N]
    return order[~in_test], order[in_test]


def _shares(sizes: np.ndarray, number: int, random: np.random.RandomState) -> np.ndarray:
    """Say how many of ``number`` rows each class gives, nearly in proportion to its size.

    What rounding down leaves goes to the classes that lost the most by it, and among equal ones to
    those that are drawn.
    """
    exact = sizes / sizes.sum() * number
    shares = np.floor(exact)
    lost = exact - shares
    left = int(number - shares.sum())
    for loss in np.unique(lost)[::-1]:
        if not left:
            break
        equal = np.flatnonzero(lost == loss)
        chosen = random.choice(equal, size=min(len(equal), left), replace=False)
        shares[chosen] += 1
        left -= len(chosen)
    whole: np.ndarray = shares.astype(int)
    return whole
