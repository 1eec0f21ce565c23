"""What is shown of a metric's results, wherever it is shown: rows by rank, columns, differences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hessinf.display.numbers import counted, number, setting

Row = tuple[str, Mapping[str, Any]]
"""A row's name, and what a metric says of it."""

MISSING = "missing"
"""The column of what was not defined; it is shown last."""

CHOSEN = ("damping",)
"""Columns of what was chosen, not measured: their numbers have no zeros at the end."""


def ranked_rows(metric: Mapping[str, Any]) -> list[Row]:
    """Return a metric's rows, the best first, and at the end those without a value.

    Parameters
    ----------
    metric
        One of ``"metrics"`` in ``evaluation.json``.
    """
    sign = -1.0 if metric["higher_is_better"] else 1.0

    def rank(row: Row) -> tuple[bool, float]:
        value = number_of(row[1].get("value"))
        return value is None, 0.0 if value is None else sign * value

    return sorted(metric["rows"].items(), key=rank)


def filled_columns(metric: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return key and title of the further columns in which a row has something.

    Parameters
    ----------
    metric
        As for :func:`ranked_rows`.
    """
    rows = metric["rows"].values()
    return [
        (key, title)
        for key, title in metric["columns"]
        if key != MISSING and any(summary.get(key) is not None for summary in rows)
    ]


def column_number(key: str, value: Any) -> str:
    """Write a number of one of the further columns.

    Parameters
    ----------
    key
        Of the column.
    value
        The number.
    """
    return setting(value) if key in CHOSEN else number(value)


def headline_comparisons(metric: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return differences of two rows: at the headline alpha, where there are several.

    Parameters
    ----------
    metric
        As for :func:`ranked_rows`.
    """
    headline = metric["truth"].get("alpha")
    return [one for one in metric["comparisons"] if one.get("alpha", headline) == headline]


def better_words(metric: Mapping[str, Any]) -> str:
    """Say which direction is good."""
    return "higher is better" if metric["higher_is_better"] else "lower is better"


def sizes_text(queries: int, training_examples: int) -> str:
    """Say how many examples there are on both sides."""
    return (
        f"{counted(queries, 'query', 'queries')}, {counted(training_examples, 'training example')}"
    )


def number_of(value: Any) -> float | None:
    """Return a finite number, or None: files write what is not finite as a text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def interval_of(summary: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the interval of a row's value, where it has one with two finite ends."""
    found = summary.get("interval")
    if not isinstance(found, list | tuple) or len(found) != 2:
        return None
    low, high = (number_of(end) for end in found)
    return None if low is None or high is None else (low, high)
