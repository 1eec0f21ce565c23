"""The LDS of one attribution at one alpha: damping chosen on some queries, reported on others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hessinf.evaluation.bootstrap import Intervals, intervals, resampled_correlations
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.lds import mean_of_defined, over_models
from hessinf.evaluation.noise_ceiling import NoiseCeiling
from hessinf.evaluation.rank_correlation import spearman
from hessinf.evaluation.resampling import Resamples, draw_resamples
from hessinf.evaluation.subset_truth import SubsetTruth
from hessinf.runtime.finite_json import number_or_null
from hessinf.runtime.randomness import derive_seed


@dataclass(frozen=True, eq=False)
class LdsTruth:
    """One ground truth, and what is done with it.

    Parameters
    ----------
    subsets
        Masks and values.
    tuning
        The queries that dampings are chosen on, ``[Q'']``; empty where none is chosen.
    reported
        The queries that scores are reported on, ``[Q']``, others than those.
    resamples
        Of reported queries and subsets.
    """

    subsets: SubsetTruth
    tuning: np.ndarray
    reported: np.ndarray
    resamples: Resamples

    @property
    def ceiling(self) -> NoiseCeiling | None:
        """How well reported values can be predicted; None where that is unknown."""
        return self.subsets.ceiling(self.reported)


@dataclass(frozen=True, eq=False)
class LdsJudgement:
    """What is found.

    Parameters
    ----------
    chosen
        The place of the damping that was chosen; 0 where there was no choice.
    curve
        The LDS at every damping on the queries it was chosen on, ``[D]``; None where there was no
        choice.
    correlations
        Of every model and reported query, ``[K, Q']``; NaN where there is none.
    resampled
        The mean over models with resampled subsets, ``[B, Q']``.
    intervals
        Of the mean over models and queries; None where no query has a correlation.
    """

    chosen: int
    curve: np.ndarray | None
    correlations: np.ndarray
    resampled: np.ndarray
    intervals: Intervals | None

    @property
    def value(self) -> float:
        """The mean over models and queries; NaN where no query has a correlation."""
        return mean_of_defined(self.correlations)

    @property
    def per_query(self) -> np.ndarray:
        """The mean over models, ``[Q']``."""
        return over_models(self.correlations)

    @property
    def missing(self) -> int:
        """How many correlations there are not, over models and reported queries."""
        return int(np.isnan(self.correlations).sum())


def prepare_truth(
    subsets: SubsetTruth, *, tuning: np.ndarray, reported: np.ndarray, resamples: int, seed: int
) -> LdsTruth:
    """Draw what is resampled.

    Parameters
    ----------
    subsets, tuning, reported
        As :class:`LdsTruth` has them.
    resamples
        B.
    seed
        The run's seed.

    Raises
    ------
    EvaluationError
        When a query is both tuned on and reported: a damping that was chosen on what is reported
        makes its method look better than it is.
    """
    both = np.intersect1d(tuning, reported)
    if len(both):
        raise EvaluationError(
            f"query {int(both[0])} is reported, and dampings are chosen on it ({len(both)} such "
            "queries): the best of several on the same queries looks better than it is; choose on "
            "other queries than those that are reported"
        )
    drawn = draw_resamples(
        queries=len(reported),
        subsets=subsets.subsets,
        resamples=resamples,
        seed=derive_seed(seed, f"lds.resamples/{subsets.alpha!r}"),
    )
    return LdsTruth(subsets, tuning, reported, drawn)


def judge(predictions: np.ndarray, truth: LdsTruth) -> LdsJudgement:
    """Judge what an attribution predicts for subsets.

    Parameters
    ----------
    predictions
        Sums of scores ``[K, D, Q, m]``: of K models, at D dampings.
    truth
        What is true; it has queries to choose on where D is more than 1.

    Returns
    -------
    LdsJudgement

    Raises
    ------
    EvaluationError
        When there are several dampings, and no query to choose one on.
    """
    values = truth.subsets.means.T  # [Q, m]
    chosen, curve = 0, None
    if predictions.shape[1] > 1 and not len(truth.tuning):
        raise EvaluationError(
            f"there are scores at {predictions.shape[1]} dampings, and no query to choose one on: "
            "chosen on the queries that are reported, it looks better than it is"
        )
    if len(truth.tuning):
        tuned = spearman(predictions[:, :, truth.tuning], values[truth.tuning])  # [K, D, Q'']
        curve = np.array([mean_of_defined(tuned[:, place]) for place in range(tuned.shape[1])])
        chosen = int(np.argmax(np.nan_to_num(curve, nan=-np.inf)))
    own = predictions[:, chosen][:, truth.reported]  # [K, Q', m]
    true = values[truth.reported]  # [Q', m]
    correlations = spearman(own, true)  # [K, Q']
    resampled = over_models(resampled_correlations(own, true, truth.resamples.subsets))  # [B, Q']
    per_query = over_models(correlations)  # [Q']
    found = None
    if not np.isnan(per_query).all():
        found = intervals(per_query, resampled, truth.resamples)
    return LdsJudgement(chosen, curve, correlations, resampled, found)


def summary(judgement: LdsJudgement) -> dict[str, Any]:
    """Return value, intervals and missing correlations as JSON."""
    found = judgement.intervals
    return {
        "value": number_or_null(judgement.value),
        "interval": None if found is None else list(found.two_way),
        "interval_queries": None if found is None else list(found.queries),
        "interval_masks": None if found is None else list(found.subsets),
        "missing": judgement.missing,
    }
