"""How much the top-k lists of different queries share.

Lists that hold the same few examples for every query say nothing of the query (Barshan et al.,
"RelatIF", 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.resampling import CONFIDENCE


@dataclass(frozen=True, eq=False)
class TopOverlap:
    """What the top-k lists of ``Q`` queries share.

    Parameters
    ----------
    distinct
        The share of distinct training examples among all ``Q·k`` places.
    overlap
        The mean share of examples that two lists have in common; NaN for one query.
    without
        ``distinct`` without each query, ``[Q]``: for the jackknife.
    tied
        How many lists end among equal scores, where the lower index was taken.
    """

    distinct: float
    overlap: float
    without: np.ndarray
    tied: int


def top_overlap(scores: np.ndarray, k: int) -> TopOverlap:
    """Compare the lists of the k largest scores of each query.

    Parameters
    ----------
    scores
        ``[Q, N]``; of equal scores the one with the lower index comes first.
    k
        The length of the lists; N where there are fewer examples.

    Returns
    -------
    TopOverlap

    Raises
    ------
    EvaluationError
        When a score is not finite, or k is below 1.
    """
    scores = finite_array("scores", scores, "queries, training examples", {})
    if k < 1:
        raise EvaluationError(f"k is {k}, expected 1 or more")
    queries, size = scores.shape
    k = min(k, size)
    order = np.argsort(-scores, axis=1, kind="stable")  # [Q, N]
    top = order[:, :k]  # [Q, k]
    times = np.bincount(top.ravel(), minlength=size)  # [N]: in how many lists each example is
    distinct = int((times > 0).sum())
    own = (times[top] == 1).sum(axis=1)  # [Q]: examples that no other list has
    pairs = queries * (queries - 1) / 2
    shared = float((times * (times - 1) / 2).sum())  # over pairs of lists
    ends = np.take_along_axis(scores, order[:, k - 1 : k + 1], axis=1)  # [Q, 1 or 2]
    return TopOverlap(
        distinct=distinct / (queries * k),
        overlap=shared / (pairs * k) if pairs else float("nan"),
        without=(distinct - own) / max((queries - 1) * k, 1),
        tied=int((ends[:, 0] == ends[:, 1]).sum()) if k < size else 0,
    )


def jackknife_interval(value: float, without: np.ndarray) -> tuple[float, float] | None:
    """Return the 95 % interval of a number by leaving out one query at a time (Tukey 1958).

    Resampling with replacement does not do here: the second copy of a query adds no example to the
    lists, which then share more than those of other queries would.

    Parameters
    ----------
    value
        The number, with all queries.
    without
        The number without each query, ``[Q]``.

    Returns
    -------
    tuple of float or None
        None for one query.
    """
    queries = len(without)
    if queries < 2:
        return None
    spread = ((without - without.mean()) ** 2).sum() * (queries - 1) / queries
    half = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) * float(np.sqrt(spread))
    return value - half, value + half


def random_distinct(queries: int, size: int, k: int) -> float:
    """Return the expected share of distinct examples when every list is drawn at random.

    Parameters
    ----------
    queries, size, k
        Numbers of queries and training examples, and the length of the lists.
    """
    k = min(k, size)
    return size * (1 - (1 - k / size) ** queries) / (queries * k)


def largest_distinct(queries: int, size: int, k: int) -> float:
    """Return the largest share that is possible: N examples may be fewer than ``Q·k`` places.

    Parameters
    ----------
    queries, size, k
        Numbers of queries and training examples, and the length of the lists.
    """
    return min(1.0, size / (queries * min(k, size)))
