"""Numbers and targets as a page is given them."""

from __future__ import annotations

import math
import re
from typing import Any

DIGITS = 6
"""Significant digits: people are shown four, and may sort by the others."""

TIE = re.compile(r"-?\d\.(\d{1,3}50*e|\d{4}5e\+04)")
"""What a person would be shown rounded up, though what was rounded to it may have lain below."""

MOST_NUMBERS = 8
"""Numbers of a target or prediction that are shown."""


def rounded(value: Any) -> float | int | None:
    """Round a number to :data:`DIGITS` significant digits, or not at all where that would show.

    Parameters
    ----------
    value
        A number; None, or what is not finite (which files write as text), is None.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if isinstance(value, int):
        return value
    text = f"{value:.{DIGITS - 1}e}"
    # A probability that is nearly one is not one.
    return value if TIE.match(text) or float(text) == 1 else float(text)


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


def as_class(target: Any) -> Any:
    """Return a target that was shown as a floating number without a fraction as the class it is."""
    return int(target) if isinstance(target, float) and target.is_integer() else target


def is_class(value: Any) -> bool:
    """Whether a target or prediction is the number of a class."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_wrong(target: Any, prediction: Any) -> bool | None:
    """Return whether another class is predicted, or one of several labels wrongly.

    Parameters
    ----------
    target, prediction
        As files have them: a binary target of one output is a list of one floating number, several
        labels are a list of more. Whole numbers in a target of several are no labels but classes at
        positions, as of tokens.

    Returns
    -------
    bool or None
        None where no classes are predicted.
    """
    target, prediction = (
        one if isinstance(one, list) and len(one) != 1 else [_single(one)]
        for one in (target, prediction)
    )
    if len(target) != len(prediction) or not all(map(is_class, prediction)):
        return None
    if len(target) > 1 and not all(isinstance(label, float) for label in target):
        return None
    classes = [as_class(label) for label in target]
    return classes != prediction if all(map(is_class, classes)) else None


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def _flat(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    return [number for item in value for number in _flat(item)]
