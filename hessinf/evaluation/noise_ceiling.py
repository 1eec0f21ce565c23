"""How well any attribution could do against a ground truth that has noise of its own.

A model trained again on the same subset, from another seed, gives other values. With ``R`` repeats
of every subset, the correlation ``r1`` of two single repeats says how much of one repeat is signal.
The mean of ``R`` repeats has the reliability ``R r1 / (1 + (R - 1) r1)`` (Spearman 1910, Brown
1910), and a predictor that knows the noiseless truth correlates with it by the square root of that.

A raw correlation of two halves of the repeats is no ceiling: it is the reliability of half the
repeats, which is below what can be attained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.rank_correlation import average_ranks, correlation_of_ranks

UNKNOWN = (
    "each subset was retrained once, so that the noise of retraining, and with it the highest LDS "
    "that can be attained, are unknown; repeats: 3 to 5 shows them, and lowers the noise"
)


@dataclass(frozen=True, eq=False)
class NoiseCeiling:
    """What can be attained.

    Parameters
    ----------
    single
        The mean over queries of the mean Spearman correlation of two repeats over subsets.
    reliability
        That of the mean of all repeats with as many further repeats.
    attainable
        The square root of the reliability: about the highest LDS that scores can reach.
    repeats
        How many repeats there were.
    per_query
        The mean correlation of two repeats, ``[Q]``; NaN where a repeat is constant.
    """

    single: float
    reliability: float
    attainable: float
    repeats: int
    per_query: np.ndarray

    @property
    def missing(self) -> int:
        """How many queries have no correlation, because a repeat is constant."""
        return int(np.isnan(self.per_query).sum())

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON."""
        return {
            "repeats": self.repeats,
            "single_repeat_correlation": self.single,
            "reliability": self.reliability,
            "attainable": self.attainable,
            "missing": self.missing,
        }


def noise_ceiling(values: np.ndarray) -> NoiseCeiling | None:
    """Estimate how well the mean of repeats can be predicted.

    Parameters
    ----------
    values
        ``[m, R, Q]``: ``R`` repeats of each of ``m`` subsets, for ``Q`` queries.

    Returns
    -------
    NoiseCeiling or None
        None with one repeat (see ``UNKNOWN``), and where no query has a correlation.

    Raises
    ------
    EvaluationError
        When the values have another shape, or one is not finite.
    """
    values = finite_array("values", values, "subsets, repeats, queries", {})
    repeats = values.shape[1]
    if repeats < 2:
        return None
    ranks = average_ranks(values.transpose(1, 2, 0))  # [R, Q, m]
    left, right = np.triu_indices(repeats, 1)  # the pairs
    pairs = [
        correlation_of_ranks(ranks[one], ranks[other])  # [Q]
        for one, other in zip(left, right, strict=True)
    ]
    per_query = np.mean(pairs, axis=0)  # [Q]
    defined = per_query[~np.isnan(per_query)]  # [Q']
    if not len(defined):
        return None
    single = float(defined.mean())
    reliability = spearman_brown(single, repeats)
    return NoiseCeiling(single, reliability, float(np.sqrt(reliability)), repeats, per_query)


def spearman_brown(single: float, repeats: int) -> float:
    """Return the reliability of a mean of repeats from that of a single one.

    Parameters
    ----------
    single
        The correlation of two single repeats; where it is negative nothing is attainable, and 0 is
        returned.
    repeats
        How many repeats the mean has.
    """
    if single <= 0:
        return 0.0
    return repeats * single / (1 + (repeats - 1) * single)
