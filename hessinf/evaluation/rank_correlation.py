"""Spearman's rank correlation, with average ranks for ties, along the last axis of arrays.

Where one side is constant there is no correlation: it is NaN, which callers count and never drop
in silence. NaN and infinity in what is correlated are refused.
"""

from __future__ import annotations

import numpy as np

from hessinf.evaluation.array_checks import require_finite


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Rank values along the last axis, the smallest 1; equal values share their mean rank.

    Parameters
    ----------
    values
        ``[..., m]``, finite.

    Returns
    -------
    numpy.ndarray
        Float64, ``[..., m]``; every rank is a multiple of ½, without rounding.

    Raises
    ------
    EvaluationError
        When a value is not finite.
    """
    values = np.asarray(values)  # [..., m]
    require_finite("values", values)
    size = values.shape[-1]
    order = np.argsort(values, axis=-1, kind="stable")  # [..., m]
    ascending = np.take_along_axis(values, order, axis=-1)  # [..., m]
    new = np.ones(values.shape, dtype=bool)  # [..., m]: whether a run of equal values begins
    new[..., 1:] = ascending[..., 1:] != ascending[..., :-1]
    last = np.ones(values.shape, dtype=bool)  # [..., m]: whether it ends
    last[..., :-1] = new[..., 1:]
    places = np.broadcast_to(np.arange(size), values.shape)  # [..., m]
    begin = np.maximum.accumulate(np.where(new, places, 0), axis=-1)  # [..., m]
    backwards = np.where(last, places, size - 1)[..., ::-1]  # [..., m]
    end = np.minimum.accumulate(backwards, axis=-1)[..., ::-1]  # [..., m]
    ranks = np.empty(values.shape)  # [..., m]
    np.put_along_axis(ranks, order, (begin + end) / 2 + 1, axis=-1)
    return ranks


def spearman(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Correlate ranks along the last axis (Spearman 1904, in the form that allows ties).

    Parameters
    ----------
    left, right
        ``[..., m]``, finite; the axes before the last are broadcast.

    Returns
    -------
    numpy.ndarray
        ``[...]`` in [-1, 1]; NaN where a side is constant (or has one value).

    Raises
    ------
    EvaluationError
        When a value is not finite.
    """
    return correlation_of_ranks(average_ranks(left), average_ranks(right))


def correlation_of_ranks(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Correlate ranks that are there already; see :func:`spearman`.

    Parameters
    ----------
    left, right
        What :func:`average_ranks` returned, ``[..., m]``; the axes before the last are broadcast.

    Returns
    -------
    numpy.ndarray
        ``[...]``.
    """
    middle = (left.shape[-1] + 1) / 2  # the mean of ranks, with ties and without
    x, y = left - middle, right - middle  # [..., m]
    covariance = (x * y).sum(axis=-1)  # [...]
    # Sums of quarters of integers: exact up to 2**53, so that 1 and -1 are reached exactly.
    spread = np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))  # [...]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, covariance / spread, np.nan)
