"""Bootstrap intervals of the mean of a matrix whose rows and columns are both samples.

Rows (seeds of training) and columns (queries) are drawn with replacement, independently of each
other (the pigeonhole bootstrap, Owen 2007), so that the interval holds for other seeds *and* other
queries. With one row, only columns are drawn.
"""

from __future__ import annotations

import numpy as np

from hessinf.evaluation.array_checks import finite_array
from hessinf.evaluation.resampling import draw_resamples, percentile_interval, weighted_means
from hessinf.runtime.randomness import derive_seed

RESAMPLES = 2000


def resampled_means(values: np.ndarray, seed: int) -> np.ndarray:
    """Return the mean over rows and columns in every resample.

    Parameters
    ----------
    values
        ``[R, Q]``, finite: a number for each seed and query.
    seed
        Of the draws. The same seed and shape give the same draws, so that the difference of two
        results is paired.

    Returns
    -------
    numpy.ndarray
        ``[B]``.

    Raises
    ------
    EvaluationError
        When a value is not finite.
    """
    values = finite_array("values", values, "seeds, queries", {})
    by_rows, queries = _resampled(values, seed)  # [B, Q], [B, Q]
    return weighted_means(by_rows, queries)


def resampled_differences(values: np.ndarray, others: np.ndarray, seed: int) -> np.ndarray:
    """Return the mean of one matrix less that of another in every resample.

    Columns are the same queries, and drawn together. Rows have nothing to do with each other: other
    seeds, or other random removals.

    Parameters
    ----------
    values, others
        ``[R, Q]`` and ``[C, Q]``, finite.
    seed
        Of the draws, as for :func:`resampled_means`.

    Returns
    -------
    numpy.ndarray
        ``[B]``.

    Raises
    ------
    EvaluationError
        When shapes do not fit each other, or a value is not finite.
    """
    values = finite_array("values", values, "seeds, queries", {})
    others = finite_array("others", others, "seeds, queries", {"queries": values.shape[1]})
    by_rows, queries = _resampled(values, seed)  # [B, Q], [B, Q]
    by_others, _ = _resampled(others, derive_seed(seed, "others"))  # [B, Q]
    return weighted_means(by_rows - by_others, queries)


def mean_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of :func:`resampled_means`."""
    return percentile_interval(resampled_means(values, seed))


def difference_interval(values: np.ndarray, others: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of :func:`resampled_differences`."""
    return percentile_interval(resampled_differences(values, others, seed))


def _resampled(values: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the means over drawn rows, and how often each column is drawn, both ``[B, Q]``."""
    rows, columns = values.shape
    drawn = draw_resamples(queries=columns, subsets=rows, resamples=RESAMPLES, seed=seed)
    return drawn.subsets @ values / rows, drawn.queries
