"""A number for each query, averaged: the mean, and how sure it is.

Numbers that there are not (NaN) are counted, and never taken for 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hessinf.evaluation.array_checks import require_finite
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.resampling import defined_interval, weighted_means


@dataclass(frozen=True, eq=False)
class QueryMean:
    """The mean of a number over queries.

    Parameters
    ----------
    value
        The mean over the queries that have the number; NaN where none has.
    interval
        Its 95 % interval for other queries; None where no query has the number.
    queries
        How many queries were looked at.
    missing
        How many of them do not have the number.
    resampled
        The mean with resampled queries, ``[B]``.
    """

    value: float
    interval: tuple[float, float] | None
    queries: int
    missing: int
    resampled: np.ndarray


def mean_over_queries(values: np.ndarray, kept: np.ndarray, drawn: np.ndarray) -> QueryMean:
    """Average over queries; where there are several models, over those first.

    Parameters
    ----------
    values
        ``[K, Q]`` for K models; NaN where there is no number.
    kept
        Which queries are looked at for each model, ``[K, Q]``; the numbers of others do not count.
    drawn
        How often each query is drawn, ``[B, Q]``: the same for every row of a table, so that
        differences between rows are paired.

    Returns
    -------
    QueryMean
        A query counts once, however many models look at it.

    Raises
    ------
    EvaluationError
        When shapes differ, or a number is infinite.
    """
    values, kept = np.asarray(values, dtype=np.float64), np.asarray(kept, dtype=bool)
    if values.ndim != 2 or values.shape != kept.shape or values.shape[1:] != drawn.shape[1:]:
        raise EvaluationError(
            f"values are {list(values.shape)}, kept is {list(kept.shape)} and drawn is "
            f"{list(drawn.shape)}; expected [models, queries] twice and [resamples, queries]"
        )
    defined = kept & ~np.isnan(values)  # [K, Q]
    numbers = np.where(defined, values, 0.0)  # [K, Q]
    require_finite("values", numbers)
    models = defined.sum(axis=0)  # [Q]
    averages = np.where(models > 0, numbers.sum(axis=0) / np.maximum(models, 1), np.nan)  # [Q]
    queries, having = int(kept.any(axis=0).sum()), int((models > 0).sum())
    resampled = weighted_means(averages, drawn)  # [B]
    return QueryMean(
        value=float(averages[models > 0].mean()) if having else float("nan"),
        interval=defined_interval(resampled),
        queries=queries,
        missing=queries - having,
        resampled=resampled,
    )
