"""Numbers on the page are written as in the terminal, with a true minus sign."""

from __future__ import annotations

import random
import re
from importlib.resources import files

import pytest

from hessinf.display import numbers

SCRIPT = (files("hessinf.reporting") / "page" / "numbers.js").read_text(encoding="utf-8")


@pytest.fixture
def written(pages):
    page = pages.open("<!DOCTYPE html><title>numbers</title>")

    def write(function: str, values: list[float]) -> list[str]:
        return page.evaluate(f"values => {{ {SCRIPT}\n return values.map({function}); }}", values)

    return write


def samples() -> list[float]:
    draw = random.Random(0)
    drawn = [draw.choice((-1, 1)) * 10 ** draw.uniform(-12, 12) for _ in range(2000)]
    edges = [0.0, 1.0, 0.001, 0.0009996, 0.9999, 0.99996, 999.95, 9999.5, 99999.6, 999999.6, 1e6]
    return [*drawn, *edges, *(-edge for edge in edges[1:]), 1.2345, 2.675, 1e-300, 1e300]


@pytest.mark.parametrize("name", ["number", "signed", "measured"])
def test_numbers_are_those_of_the_terminal(written, name):
    values = samples()
    expected = [re.sub("^-", "−", getattr(numbers, name)(value)) for value in values]
    assert written(name, values) == expected


def test_shares_are_those_of_the_terminal(written):
    shares = [0, 1, 0.5, 0.97, 0.123456, 0.99951, 0.0004, 0.0006, 0.9994, 1e-9]
    shown = [text.replace("\u00a0", " ") for text in written("percent", shares)]
    assert shown == [numbers.percent(share) for share in shares]


def test_counts_keep_every_digit(written):
    values = [0, 7, 999, 1000, 1234567, 98765432101]
    assert written("count", values) == [f"{value:,}" for value in values]
