"""What is shown of an example in a line of text."""

from __future__ import annotations

import math

import pytest

from hessinf.display.example_text import (
    excerpt,
    label_text,
    prediction_text,
    target_text,
    value_text,
)


@pytest.mark.parametrize(
    ("display", "target", "shown"),
    [
        ({"label": "cat"}, 0, "cat"),
        ({"label": "cat", "target": 1.0}, 0, "cat"),
        ({"target": 151.0}, [151.0], "151"),
        ({"target": 1.0}, [1.0], "1"),
        ({}, 3, "3"),
        ({}, [3.25], "3.250"),
        ({"label": "cat", "flipped_from": "dog"}, 0, "cat (was dog)"),
        ({"label": 6, "flipped_from": 3}, 6, "6 (was 3)"),
        ({"label": None}, 0, "None"),
        ({"label": "a\x1b[2J\n", "flipped_from": "\r"}, 0, "a\\x1b[2J (was )"),
    ],
)
def test_labels(display, target, shown):
    assert label_text(display, target) == shown


@pytest.mark.parametrize(
    ("display", "target", "shown"),
    [
        ({"target": 26.06}, [-0.578], "26.06 (to the model -0.578)"),
        ({"target": 26}, -0.578, "26 (to the model -0.578)"),
        ({"target": 151.0}, [151.0], "151"),
        ({"target": 0.1}, [0.10000000149011612], "0.100"),
        ({"target": [1.0, 2.0]}, [0.5, 0.25], "[1, 2]"),
        ({"label": "cat", "target": 1.0}, 0, "cat"),
        ({}, [3.25], "3.250"),
        ({"target": "high"}, [3.25], "high"),
    ],
)
def test_targets_beside_predictions(display, target, shown):
    assert target_text(display, target) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1000, "1000"),
        (1234.5, "1,234"),
        ([0.5], "0.500"),
        ([1, 2, 3, 4], "[1, 2, 3, 4]"),
        ([1, 2, 3, 4, 5], "[1, 2, 3, 4, …]"),
        ([[1.0], [2.0]], "[1, 2]"),
        ([1.0, 0.0, 0.25], "[1, 0, 0.250]"),
        (-2000.0, "-2,000"),
        (1e9, "1.00e9"),
        (math.inf, "inf"),
        ("cat", "cat"),
    ],
)
def test_values(value, shown):
    assert value_text(value) == shown


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"prediction": 1}, "d\\x07og"),
        ({"prediction": 1, "probability": {"prediction": 0.973}}, "d\\x07og (97.3 %)"),
        ({"prediction": 2, "probability": {"prediction": 1.0}}, "2 (100 %)"),
        ({"prediction": 2.5, "probability": None}, "2.500"),
        ({"prediction": [2.5]}, "2.500"),
    ],
)
def test_predictions(query, shown):
    assert prediction_text(query, {0: "cat", 1: "d\x07og"}) == shown


@pytest.mark.parametrize(
    ("display", "shown"),
    [
        ({"text": " The  film\nwas\tgood. "}, "The film was good."),
        ({"tokens": ["The", "film"]}, "The film"),
        ({"text": "whole", "tokens": ["who", "le"]}, "whole"),
        ({"text": "\x1b[2J"}, "\\x1b[2J"),
        ({"text": 3}, ""),
        ({"tokens": "abc"}, ""),
        ({"tokens": [1, 2]}, ""),
        ({"row": {}}, ""),
    ],
)
def test_excerpts(display, shown):
    assert excerpt(display) == shown
