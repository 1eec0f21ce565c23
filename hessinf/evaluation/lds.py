"""The linear datamodeling score: how well scores predict what models trained on subsets do.

For subsets ``S_1 .. S_m`` of the training data (Park et al., TRAK, 2023; Ilyas et al., 2022)

    LDS(q) = Spearman_j( Σ_{i ∈ S_j} score[q, i],  value of q under a model trained on S_j )

and the LDS of an attribution is its mean over queries. Values are turned so that larger is better
for the query, and positive scores are helpful, so that a good attribution has a positive LDS.
"""

from __future__ import annotations

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.rank_correlation import spearman
from hessinf.evaluation.subset_sums import subset_sums


def linear_datamodeling_scores(
    scores: np.ndarray, masks: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Correlate, for every query, predicted and true values over subsets.

    Parameters
    ----------
    scores
        ``[Q, N]``, positive = helpful; or ``[..., Q, N]``, such as one matrix for each damping.
    masks
        ``[m, N]`` of 0 and 1.
    values
        ``[m, Q]``: what retrained models do, larger = better; the mean over repeats where there are
        several.

    Returns
    -------
    numpy.ndarray
        ``[Q]`` (``[..., Q]``); NaN where sums of scores, or values, are the same for all subsets.

    Raises
    ------
    EvaluationError
        When shapes do not fit each other, a number is not finite, or a mask is not binary.
    """
    values = finite_array("values", values, "subsets, queries", {"subsets": len(masks)})
    return spearman(subset_sums(scores, masks, queries=values.shape[1]), values.T)


def mean_of_defined(correlations: np.ndarray) -> float:
    """Return the mean over queries that have a correlation; NaN where none has.

    Parameters
    ----------
    correlations
        ``[Q]``, or ``[K, Q]`` for several models: then the mean over models is taken first, so that
        every query weighs the same.

    Returns
    -------
    float
    """
    return float(_defined_mean(over_models(np.atleast_2d(correlations))))


def over_models(correlations: np.ndarray) -> np.ndarray:
    """Return the mean over models of ``[K, ..., Q]``, NaN where a query has none in any model."""
    return _defined_mean(np.moveaxis(correlations, 0, -1))


def _defined_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean of what is not NaN along the last axis; NaN where all is."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=-1)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
