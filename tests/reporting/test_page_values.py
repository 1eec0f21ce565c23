from __future__ import annotations

import math
import random

import pytest

from hessinf.display.numbers import number, percent
from hessinf.reporting.page_values import rounded, shown_target


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.123456789, 0.123457),
        (-1.23456789e-20, -1.23457e-20),
        (1234567.0, 1234570.0),
        (12345678, 12345678),
        (0.0, 0.0),
        (None, None),
        ("nan", None),
        (math.nan, None),
        (math.inf, None),
        (True, None),
    ],
)
def test_numbers_are_rounded_to_six_digits(value, expected):
    assert rounded(value) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (3, 3),
        (1.5, 1.5),
        ([1.5], 1.5),
        ([[2]], 2),
        ([1.5, 2.5], [1.5, 2.5]),
        ([], []),
        (list(range(9)), "0, 1, 2, 3, 4, 5, 6, 7, … (9 numbers)"),
        ([[1, 2], [3, 4]], "1, 2, 3, 4, … (4 numbers)"),
        (None, None),
        ("a", None),
    ],
)
def test_targets_are_short(target, expected):
    assert shown_target(target) == expected


def test_a_number_that_is_rounded_twice_is_shown_as_if_it_were_once():
    draw = random.Random(0)
    values = [draw.choice((-1, 1)) * 10 ** draw.uniform(-8, 8) for _ in range(20_000)]
    values += [6.836496, -15.385002, 1.0764999, 0.0001234996, 0.67249996]
    for value in values:
        assert number(rounded(value)) == number(value)
        assert percent(rounded(value / 1e8)) == percent(value / 1e8)
    assert percent(rounded(1 - 1e-8)) == percent(1 - 1e-8) == "> 99.9 %"
