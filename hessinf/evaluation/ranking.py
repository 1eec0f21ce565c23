"""How well scores rank the examples that are looked for before the others.

Pure functions of arrays. Larger scores are inspected first. Examples with equal scores stand in no
order: every number here is then the mean over all orders of them, not that of one order that
sorting happened to give. Nothing is added to the scores to tell them apart: a small number added to
each place is large beside small scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.errors import EvaluationError


@dataclass(frozen=True, eq=False)
class Ranking:
    """What is found when examples are inspected from the largest score down.

    Parameters
    ----------
    positives
        How many (or how much weight) of what is looked for has been found after each of the ``U``
        distinct scores, ``[..., U + 1]``; the first is 0.
    negatives
        The same for the others, ``[..., U + 1]``.
    """

    positives: np.ndarray
    negatives: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """The share of examples that are looked for, ``[...]``."""
        found, others = self.positives[..., -1], self.negatives[..., -1]  # [...]
        shares: np.ndarray = found / (found + others)  # [...]
        return shares

    def auroc(self) -> np.ndarray:
        """Return the area under the receiver operating characteristic, ``[...]``."""
        found = self.positives / self.positives[..., -1:]  # [..., U + 1]
        wrong = self.negatives / self.negatives[..., -1:]  # [..., U + 1]
        # Trapezes count each pair of equal scores half.
        return _area(wrong, found)

    def auprc(self) -> np.ndarray:
        """Return the average precision, ``[...]``."""
        steps = np.diff(self.positives, axis=-1)  # [..., U]
        found = self.positives[..., 1:]  # [..., U]
        inspected = found + self.negatives[..., 1:]  # [..., U]
        # Before the first example with a weight nothing is found, and the step is 0.
        precision = np.divide(found, inspected, out=np.zeros_like(steps), where=inspected > 0)
        values: np.ndarray = (steps * precision).sum(axis=-1) / self.positives[..., -1]  # [...]
        return values

    def recall_at(self, share: float) -> np.ndarray:
        """Return the share that is found in the first ``share`` of the examples, ``[...]``."""
        if not 0 <= share <= 1:
            raise EvaluationError(f"share is {share}, expected a share of the examples, 0 to 1")
        inspected, found = self.recovery_curve()
        rows = zip(_rows(inspected), _rows(found), strict=True)
        recalls = [np.interp(share, row, values) for row, values in rows]
        return np.reshape(recalls, found.shape[:-1])

    def recovery_curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the corners of the curve: share inspected and share found, ``[..., U + 1]``."""
        inspected = self.positives + self.negatives  # [..., U + 1]
        return inspected / inspected[..., -1:], self.positives / self.positives[..., -1:]

    def recovery_area(self) -> np.ndarray:
        """Return the area under the recovery curve over that of a perfect ranking, ``[...]``."""
        inspected, found = self.recovery_curve()
        return _area(inspected, found) / (1 - self.share / 2)


def ranked(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None = None) -> Ranking:
    """Rank examples by their scores.

    Parameters
    ----------
    scores
        A number for each example, ``[N]``; the largest is inspected first.
    positive
        Which examples are looked for, ``[N]``, true and false.
    weights
        How often each example counts, ``[N]`` or ``[R, N]`` for R resamples; once where left out.

    Returns
    -------
    Ranking

    Raises
    ------
    EvaluationError
        When a score is not finite, when sizes differ, or when no example, or every one, is looked
        for.
    """
    positive = np.asarray(positive)
    if positive.dtype != np.bool_:
        raise EvaluationError(f"positive holds {positive.dtype}, expected true and false")
    scores = finite_array("scores", scores, "examples", {"examples": positive.size})
    _check_counts(int(positive.sum()), positive.size)
    weights = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape[-1:] != scores.shape:
        raise EvaluationError(
            f"weights are {list(weights.shape)} for {len(scores)} scores, expected one each"
        )
    order = np.argsort(-scores, kind="stable")  # [N]
    sorted_scores = scores[order]  # [N]
    last = np.flatnonzero(np.append(sorted_scores[1:] != sorted_scores[:-1], True))  # [U]
    placed = weights[..., order]  # [..., N]
    found = np.cumsum(placed * positive[order], axis=-1)[..., last]  # [..., U]
    others = np.cumsum(placed * ~positive[order], axis=-1)[..., last]  # [..., U]
    if (found[..., -1] <= 0).any() or (others[..., -1] <= 0).any():
        raise EvaluationError(
            "weights leave no positive or no negative example; draw resamples within each kind"
        )
    nothing = np.zeros((*found.shape[:-1], 1))  # [..., 1]
    return Ranking(
        np.concatenate([nothing, found], axis=-1), np.concatenate([nothing, others], axis=-1)
    )


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the chance that a positive example has a larger score than a negative one.

    Pairs with equal scores count half. Takes ``O(N log N)``.

    Parameters
    ----------
    scores
        ``[N]``.
    positive
        Which examples are looked for, ``[N]``.

    Returns
    -------
    float
        1 for a perfect ranking, 0.5 for chance.

    Raises
    ------
    EvaluationError
        As :func:`ranked`.
    """
    return float(ranked(scores, positive).auroc())


def auprc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the average precision: the precision at each score, weighted by what is found there.

    Examples with equal scores are taken together, as one step.

    Parameters
    ----------
    scores
        ``[N]``.
    positive
        Which examples are looked for, ``[N]``.

    Returns
    -------
    float
        1 for a perfect ranking; see :func:`chance_auprc` for that of chance.

    Raises
    ------
    EvaluationError
        As :func:`ranked`.
    """
    return float(ranked(scores, positive).auprc())


def chance_auprc(positives: int, total: int) -> float:
    """Return the expected average precision of a random order.

    It is a little above ``positives / total``, clearly so for few examples (Bestgen 2015).

    Parameters
    ----------
    positives
        How many examples are looked for.
    total
        How many examples there are.

    Returns
    -------
    float

    Raises
    ------
    EvaluationError
        When there is no positive, or no negative example.
    """
    _check_counts(positives, total)
    first = sum(1 / place for place in range(1, total + 1)) / total
    return first + (positives - 1) / (total - 1) * (1 - first)


def recall_at(scores: np.ndarray, positive: np.ndarray, share: float) -> float:
    """Return the share of the positive examples among the first ``share`` of all examples.

    Parameters
    ----------
    scores
        ``[N]``.
    positive
        Which examples are looked for, ``[N]``.
    share
        The share of the examples that is inspected. Where it is no whole number of examples, or
        ends among equal scores, the recall is read off the straight line between the corners of
        :func:`recovery_curve`.

    Returns
    -------
    float
        ``share`` for chance.

    Raises
    ------
    EvaluationError
        As :func:`ranked`, and when the share is none.
    """
    return float(ranked(scores, positive).recall_at(share))


def recovery_curve(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how much is found against how much is inspected.

    Parameters
    ----------
    scores
        ``[N]``.
    positive
        Which examples are looked for, ``[N]``.

    Returns
    -------
    inspected : numpy.ndarray
        Shares of all examples, ascending from 0 to 1, ``[U + 1]`` for U distinct scores.
    found : numpy.ndarray
        Shares of the positive examples, ``[U + 1]``; between the corners the curve is straight,
        which is the mean over all orders of equal scores.

    Raises
    ------
    EvaluationError
        As :func:`ranked`.
    """
    return ranked(scores, positive).recovery_curve()


def recovery_area(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the area under the recovery curve, over ``1 - p/2``, that of a perfect ranking.

    Parameters
    ----------
    scores
        ``[N]``.
    positive
        Which examples are looked for, ``[N]``; ``p`` is their share.

    Returns
    -------
    float
        1 for a perfect ranking, ``0.5 / (1 - p/2)`` for chance.

    Raises
    ------
    EvaluationError
        As :func:`ranked`.
    """
    return float(ranked(scores, positive).recovery_area())


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a share that was counted (Wilson 1927).

    Parameters
    ----------
    successes
        How often it happened.
    trials
        How often it could have happened, 1 or more.
    confidence
        How often such intervals hold the true share, between 0 and 1.

    Returns
    -------
    tuple of float
        The lower and the upper end, inside 0 to 1; wider than a point where nothing or everything
        happened.

    Raises
    ------
    EvaluationError
        When the counts or the confidence cannot be.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise EvaluationError(
            f"{successes} of {trials} is no share, expected 1 trial or more, and 0 to all of them"
        )
    if not 0 < confidence < 1:
        raise EvaluationError(f"confidence is {confidence}, expected a number between 0 and 1")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, more = successes / trials, z * z / trials
    middle = (share + more / 2) / (1 + more)
    half = z / (1 + more) * math.sqrt(share * (1 - share) / trials + more / (4 * trials))
    # Rounding must not move the ends where the formula gives 0 and 1.
    return (
        0.0 if successes == 0 else middle - half,
        1.0 if successes == trials else middle + half,
    )


def _check_counts(positives: int, total: int) -> None:
    if not 0 < positives < total:
        missing = "positive" if positives <= 0 else "negative"
        raise EvaluationError(
            f"{positives} of {total} examples are positive: a ranking cannot be judged without a "
            f"{missing} one"
        )


def _area(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the area under straight lines, ``[...]``."""
    widths, heights = np.diff(x, axis=-1), (y[..., 1:] + y[..., :-1]) / 2  # [..., U]
    area: np.ndarray = (widths * heights).sum(axis=-1)  # [...]
    return area


def _rows(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, values.shape[-1])  # [R, U + 1]
