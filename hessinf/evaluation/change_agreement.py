"""How predicted loss changes agree with those that retraining shows.

Pure functions of two matrices ``[Q, n]``: what is predicted of Q queries when each of n training
examples (or subsets) is left out, and what really happens.

- Pearson and Spearman over all pairs, and for each query by itself;
- the line ``true = slope · predicted + intercept`` by least squares: correlations are blind to a
  prediction of half the size;
- the root of the mean squared difference over the standard deviation of the true changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.rank_correlation import spearman
from hessinf.evaluation.resampling import Resamples, defined_interval
from hessinf.runtime.finite_json import number_or_null

AXES = "queries, changes"


@dataclass(frozen=True, eq=False)
class ChangeAgreement:
    """Numbers for one prediction.

    Parameters
    ----------
    pearson, spearman
        Over all pairs of a query and a change; NaN where one side is constant.
    slope, intercept
        Of the line through all pairs.
    relative_error
        ``rms(true − predicted) / std(true)``.
    pearsons, spearmans
        For each query, ``[Q]``; NaN where one side is constant.
    """

    pearson: float
    spearman: float
    slope: float
    intercept: float
    relative_error: float
    pearsons: np.ndarray
    spearmans: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Return what a table shows; NaN is null."""
        return {
            "pearson": number_or_null(self.pearson),
            "spearman": number_or_null(self.spearman),
            "slope": number_or_null(self.slope),
            "intercept": number_or_null(self.intercept),
            "relative_error": number_or_null(self.relative_error),
            "pearson_mean": number_or_null(_defined(self.pearsons, np.mean)),
            "pearson_min": number_or_null(_defined(self.pearsons, np.min)),
            "spearman_mean": number_or_null(_defined(self.spearmans, np.mean)),
            "spearman_min": number_or_null(_defined(self.spearmans, np.min)),
            "undefined_queries": int(np.isnan(self.pearsons).sum()),
        }


def compare_changes(predicted: np.ndarray, true: np.ndarray) -> ChangeAgreement:
    """Compare predicted with true changes.

    Parameters
    ----------
    predicted, true
        ``[Q, n]``, of the same queries and the same removals in the same order, finite.

    Returns
    -------
    ChangeAgreement

    Raises
    ------
    EvaluationError
        When shapes differ, or a number is not finite.
    """
    true = finite_array("true changes", true, AXES, {})
    sizes = {"queries": true.shape[0], "changes": true.shape[1]}
    predicted = finite_array("predicted changes", predicted, AXES, sizes)
    x, y = predicted.ravel(), true.ravel()  # [Q·n]
    slope = _ratio(_covariance(x, y), _covariance(x, x))
    return ChangeAgreement(
        pearson=float(pearson(x, y)),
        spearman=float(spearman(x, y)),
        slope=slope,
        intercept=float(y.mean() - slope * x.mean()),
        relative_error=_ratio(float(np.sqrt(((y - x) ** 2).mean())), float(y.std())),
        pearsons=pearson(predicted, true),
        spearmans=spearman(predicted, true),
    )


def pearson(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Correlate along the last axis, ``[..., n]``; NaN where one side is constant."""
    x = _centred(left)  # [..., n]
    y = _centred(right)
    product = (x * y).sum(axis=-1)
    sizes = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = np.where(sizes > 0, product / sizes, np.nan)
    return found


def resampled_pearson(
    predicted: np.ndarray, true: np.ndarray, queries: np.ndarray, changes: np.ndarray
) -> np.ndarray:
    """Correlate all pairs of resampled queries and resampled changes.

    Parameters
    ----------
    predicted, true
        ``[Q, n]``.
    queries, changes
        How often each is drawn, ``[B, Q]`` and ``[B, n]``.

    Returns
    -------
    numpy.ndarray
        ``[B]``; NaN where one side is constant.
    """
    x, y = _scaled(predicted), _scaled(true)  # [Q, n]
    rows, columns = queries.astype(np.float64), changes.astype(np.float64)
    number = rows.sum(axis=1) * columns.sum(axis=1)  # [B]

    def mean(values: np.ndarray) -> np.ndarray:
        means: np.ndarray = ((rows @ values) * columns).sum(axis=1) / number  # [B]
        return means

    mean_x, mean_y = mean(x), mean(y)
    covariance = mean(x * y) - mean_x * mean_y
    spreads = (mean(x * x) - mean_x**2) * (mean(y * y) - mean_y**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = np.where(spreads > 0, covariance / np.sqrt(spreads), np.nan)
    return found


def pearson_intervals(
    predicted: np.ndarray, true: np.ndarray, resamples: Resamples
) -> tuple[dict[str, tuple[float, float] | None], np.ndarray]:
    """Return 95 % intervals of the pooled correlation, and its two-way resamples.

    Parameters
    ----------
    predicted, true
        ``[Q, n]``.
    resamples
        Of the Q queries and the n changes; the same for all attributions, so that differences are
        paired.

    Returns
    -------
    dict
        ``"two_way"`` (over other queries and other training examples; the one to quote),
        ``"queries"`` and ``"changes"``: percentiles; None where there is no correlation.
    numpy.ndarray
        ``[B]``.
    """
    every_query = np.ones_like(resamples.queries)  # [B, Q]
    every_change = np.ones_like(resamples.subsets)  # [B, n]
    both = resampled_pearson(predicted, true, resamples.queries, resamples.subsets)
    found = {
        "two_way": both,
        "queries": resampled_pearson(predicted, true, resamples.queries, every_change),
        "changes": resampled_pearson(predicted, true, every_query, resamples.subsets),
    }
    return {name: defined_interval(values) for name, values in found.items()}, both


def _centred(values: np.ndarray) -> np.ndarray:
    """Subtract the mean along the last axis; what is left of a constant is rounding, and goes."""
    centred: np.ndarray = values - values.mean(axis=-1, keepdims=True)
    constant = np.ptp(values, axis=-1, keepdims=True) == 0
    return np.where(constant, 0.0, centred)


def _scaled(values: np.ndarray) -> np.ndarray:
    """Subtract the mean of all and divide by their spread, so that squares lose no digits."""
    centred = _centred(values.ravel()).reshape(values.shape)
    spread = float(np.sqrt((centred**2).mean()))
    return centred / spread if spread else centred


def _covariance(x: np.ndarray, y: np.ndarray) -> float:
    return float((_centred(x) * _centred(y)).mean())


def _ratio(value: float, over: float) -> float:
    return value / over if over > 0 else float("nan")


def _defined(values: np.ndarray, function: Any) -> float:
    kept = values[~np.isnan(values)]
    return float(function(kept)) if len(kept) else float("nan")
