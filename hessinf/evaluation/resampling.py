"""Drawing again with replacement, and the intervals that follow (the bootstrap; Efron 1979).

Where two kinds of things are samples, such as queries and subsets, both are drawn, independently of
each other (the pigeonhole bootstrap, Owen 2007): the interval then holds for others of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hessinf.evaluation.errors import EvaluationError

CONFIDENCE = 0.95
"""What share of resamples an interval holds."""


@dataclass(frozen=True, eq=False)
class Resamples:
    """How often each query, and each subset, is drawn in each resample.

    The same resamples serve every attribution, so that differences between them are paired.

    Parameters
    ----------
    queries
        ``[B, Q]``; every row sums to Q.
    subsets
        ``[B, m]``; every row sums to m.
    """

    queries: np.ndarray
    subsets: np.ndarray


def draw_resamples(*, queries: int, subsets: int, resamples: int, seed: int) -> Resamples:
    """Draw with replacement, queries and subsets independently of each other.

    Parameters
    ----------
    queries, subsets
        How many there are.
    resamples
        How often to draw.
    seed
        Of the generator.
    """
    generator = np.random.default_rng(seed)
    return Resamples(
        draw_counts(generator, queries, resamples), draw_counts(generator, subsets, resamples)
    )


def draw_counts(generator: np.random.Generator, size: int, resamples: int) -> np.ndarray:
    """Draw as many of some things as there are, with replacement.

    Parameters
    ----------
    generator
        What draws.
    size
        How many things there are.
    resamples
        How often to draw.

    Returns
    -------
    numpy.ndarray
        How often each thing is drawn, ``[B, size]``; every row sums to ``size``.
    """
    drawn = generator.integers(0, size, (resamples, size))  # [B, size]
    places = drawn + size * np.arange(resamples)[:, None]  # [B, size]: all rows in one count
    return np.bincount(places.ravel(), minlength=resamples * size).reshape(resamples, size)


def weighted_means(values: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Return the mean over drawn queries in every resample; those that have none are left out.

    Parameters
    ----------
    values
        ``[B, Q]``, or ``[Q]``, the same in every resample; NaN where there is none.
    queries
        How often each query is drawn, ``[B, Q]``.

    Returns
    -------
    numpy.ndarray
        ``[B]``; NaN where no drawn query has a number.
    """
    defined = ~np.isnan(values)
    weights = queries * defined  # [B, Q]
    total = weights.sum(axis=1)  # [B]
    added = (weights * np.where(defined, values, 0.0)).sum(axis=1)  # [B]
    return np.where(total > 0, added / np.maximum(total, 1), np.nan)


def percentile_interval(resampled: np.ndarray) -> tuple[float, float]:
    """Return the bounds that hold the middle 95 % of resampled numbers ``[B]``, NaN left out.

    Raises
    ------
    EvaluationError
        When none of them is a number.
    """
    defined = resampled[~np.isnan(resampled)]
    if not len(defined):
        raise EvaluationError("no resample has a number: there is none to give an interval of")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def defined_interval(resampled: np.ndarray) -> tuple[float, float] | None:
    """Return :func:`percentile_interval`, or None where no resample ``[B]`` is a number."""
    return None if np.isnan(resampled).all() else percentile_interval(resampled)
