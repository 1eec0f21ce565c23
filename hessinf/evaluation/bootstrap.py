"""Bootstrap intervals of a mean rank correlation, over queries, over subsets, and over both.

Queries and subsets are both samples. Resampling both gives an interval for other queries *and*
other subsets; it is the one to quote. Intervals are percentiles of the resampled means.
A resample has subsets several times, which are tied on both sides and lower rank correlations, the
more the nearer they are to 1; so resampled means are moved to where the mean itself is.

Resampling subsets changes ranks. A resample is a vector of counts ``c`` over the ``m`` subsets, and
the ranks in it, less their mean, are ``½ Σ_j c_j sign(x_i - x_j)``: one product of matrices for all
resamples, ties and repeated subsets included, without sorting. All numbers in it are integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.lds import mean_of_defined
from hessinf.evaluation.resampling import Resamples, percentile_interval, weighted_means

EXACT_IN_FLOAT32 = 2**24
"""Whole numbers up to this one are float32 numbers; sums over ranks are at most m³."""


@dataclass(frozen=True)
class Intervals:
    """The 95 % intervals of a mean over queries.

    Parameters
    ----------
    two_way
        Over other queries and other subsets; the one to quote.
    queries
        Over other queries, with these subsets.
    subsets
        Over other subsets, with these queries.
    """

    two_way: tuple[float, float]
    queries: tuple[float, float]
    subsets: tuple[float, float]


def resampled_correlations(
    predictions: np.ndarray, values: np.ndarray, subsets: np.ndarray
) -> np.ndarray:
    """Correlate ranks over resampled subsets.

    Parameters
    ----------
    predictions
        ``[Q, m]``, finite; or ``[K, Q, m]``, several against the same values.
    values
        ``[Q, m]``, finite.
    subsets
        How often each subset is drawn, ``[B, m]``; rows sum to m.

    Returns
    -------
    numpy.ndarray
        Spearman's correlations ``[B, Q]`` (``[K, B, Q]``); NaN where a side is constant.

    Raises
    ------
    EvaluationError
        When shapes do not fit each other, or a number is not finite.
    """
    subsets = finite_array("subsets", subsets, "resamples, subsets", {})
    resamples, size = subsets.shape
    values = finite_array("values", values, "queries, subsets", {"subsets": size})
    sizes = {"subsets": size, "queries": len(values)}
    several = np.ndim(predictions) == 3
    matrices = [
        finite_array("predictions", matrix, "queries, subsets", sizes)
        for matrix in (predictions if several else [predictions])
    ]
    dtype = np.float32 if size**3 <= EXACT_IN_FLOAT32 else np.float64
    counts: np.ndarray = subsets.astype(dtype)  # [B, m]
    found = np.empty((len(matrices), resamples, len(values)))  # [K, B, Q]
    for query, row in enumerate(values):
        truth = _doubled_ranks(row, counts)  # [B, m]
        weighted = truth * counts  # [B, m]
        spread = np.einsum("bm,bm->b", truth, weighted).astype(np.float64)  # [B]
        for place, matrix in enumerate(matrices):
            ranks = _doubled_ranks(matrix[query], counts)  # [B, m]
            covariance = np.einsum("bm,bm->b", ranks, weighted).astype(np.float64)  # [B]
            own = np.einsum("bm,bm->b", ranks, ranks * counts).astype(np.float64)  # [B]
            with np.errstate(invalid="ignore", divide="ignore"):
                found[place, :, query] = np.where(
                    (own > 0) & (spread > 0), covariance / np.sqrt(own * spread), np.nan
                )
    return found if several else found[0]


def _doubled_ranks(row: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return twice the ranks of ``[m]`` in every resample ``[B, m]``, less their mean."""
    signs = np.sign(row[None, :] - row[:, None])  # [m, m]: of x_i - x_j at [j, i]
    ranks: np.ndarray = counts @ signs.astype(counts.dtype)  # [B, m]
    return ranks


def intervals(correlations: np.ndarray, resampled: np.ndarray, resamples: Resamples) -> Intervals:
    """Return the three intervals of a mean over queries.

    Parameters
    ----------
    correlations
        As they are, ``[Q]``.
    resampled
        With resampled subsets, ``[B, Q]``.
    resamples
        What was drawn.

    Raises
    ------
    EvaluationError
        When no query has a correlation.
    """
    once = np.ones_like(resamples.queries)  # [B, Q]
    value = mean_of_defined(correlations)
    return Intervals(
        two_way=percentile_interval(
            correlations_without_bias(value, weighted_means(resampled, resamples.queries))
        ),
        queries=percentile_interval(weighted_means(correlations, resamples.queries)),
        subsets=percentile_interval(
            correlations_without_bias(value, weighted_means(resampled, once))
        ),
    )


def without_bias(value: float, resampled: np.ndarray) -> np.ndarray:
    """Move resampled means ``[B]`` to where the mean of the sample itself is."""
    moved: np.ndarray = resampled + (value - mean_of_defined(resampled))  # [B]
    return moved


def correlations_without_bias(value: float, resampled: np.ndarray) -> np.ndarray:
    """Do the same for means of correlations, none of which lies beyond 1."""
    clipped: np.ndarray = np.clip(without_bias(value, resampled), -1.0, 1.0)  # [B]
    return clipped


def paired_difference(
    difference: float, left: np.ndarray, right: np.ndarray, resamples: Resamples
) -> tuple[float, float]:
    """Return the two-way interval of the difference of two means, drawn together.

    Parameters
    ----------
    difference
        Of the means themselves.
    left, right
        With the same resampled subsets, ``[B, Q]``. Queries that one of them has no correlation for
        are left out of both.
    resamples
        What was drawn.

    Raises
    ------
    EvaluationError
        When no query has a correlation on both sides.
    """
    resampled = weighted_means(left - right, resamples.queries)  # [B]
    return percentile_interval(without_bias(difference, resampled))
