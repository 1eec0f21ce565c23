"""Which training examples are removed: the most helpful of a query, or the worst of all."""

from __future__ import annotations

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.errors import EvaluationError


def most_helpful(scores: np.ndarray, count: int) -> np.ndarray:
    """Return the training examples that each query scores highest.

    Parameters
    ----------
    scores
        ``[Q, N]``, positive = helpful.
    count
        How many for each query, from 1 to N - 1.

    Returns
    -------
    numpy.ndarray
        Places ``[Q, count]``, the most helpful first; of equal scores the first example is first.

    Raises
    ------
    EvaluationError
        When a score is not finite, or ``count`` leaves nothing to do or nothing to train on.
    """
    scores = finite_array("scores", scores, "queries, training examples", {})
    _check(count, scores.shape[1])
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def worst(values: np.ndarray, count: int) -> np.ndarray:
    """Return the training examples with the lowest values, the worst first.

    Parameters
    ----------
    values
        ``[N]``; of equal values the first example is first.
    count
        How many, from 1 to N - 1.

    Returns
    -------
    numpy.ndarray
        Places ``[count]``.

    Raises
    ------
    EvaluationError
        As :func:`most_helpful`.
    """
    places: np.ndarray = most_helpful(-np.asarray(values)[None], count)[0]  # [count]
    return places


def share_of(share: float, size: int) -> int:
    """Return how many of ``size`` examples a share is, rounded, and at least one.

    Raises
    ------
    EvaluationError
        When nothing would be left.
    """
    count = max(1, round(share * size))
    _check(count, size)
    return count


def _check(count: int, size: int) -> None:
    if not 1 <= count < size:
        raise EvaluationError(
            f"{count} of {size} training examples cannot be removed, expected 1 to {size - 1}"
        )
