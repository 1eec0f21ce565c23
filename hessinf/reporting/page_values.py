"""Numbers and targets as a page is given them."""

from __future__ import annotations

import math
from typing import Any

DIGITS = 6
"""Significant digits: people are shown four, and may sort by the others."""

MOST_NUMBERS = 8
"""Numbers of a target or prediction that are shown."""


def rounded(value: Any) -> float | int | None:
    """Round a number to :data:`DIGITS` significant digits.

    Parameters
    ----------
    value
        A number; None, or what is not finite (which files write as text), is None.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.{DIGITS}g}")


def shown_target(target: Any) -> Any:
    """Return a target or prediction: a class, a number, or a list of numbers that is not too long.

    A list of one number is that number; one that is too long, or nested, a text that counts it.
    """
    if not isinstance(target, list):
        return rounded(target)
    if len(target) == 1:
        return shown_target(target[0])
    if len(target) > MOST_NUMBERS or any(isinstance(item, list) for item in target):
        first = ", ".join(str(rounded(item)) for item in _flat(target)[:MOST_NUMBERS])
        return f"{first}, … ({len(_flat(target)):,} numbers)"
    return [rounded(item) for item in target]


def _flat(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    return [number for item in value for number in _flat(item)]
