"""Conditions on texts, from the annotation to the error and the schema."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from hessinf.registry import ConfigError, Matches, RegularExpression, plan
from hessinf.registry.schema import json_schema

SHARE = Annotated[str, Matches(r"\d+%", 'such as "25%"')]
PATTERN = Annotated[str, RegularExpression()]


def problem(annotation: Any, value: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        plan(annotation, value)
    return caught.value.problems[0].message


def test_a_text_that_matches():
    assert plan(SHARE, "25%").build({}) == "25%"
    assert plan(PATTERN, r"bias$").build({}) == "bias$"


def test_the_whole_text_has_to_match():
    assert problem(SHARE, "25% off") == 'expected str such as "25%", found "25% off" (str)'


def test_what_is_no_regular_expression():
    expected = 'expected str that is a regular expression, found "(" (str)'
    assert problem(PATTERN, "(") == expected


def test_other_types_are_refused_by_their_type():
    assert problem(SHARE, 25) == "expected str, found 25 (int)"


def test_bounds_of_numbers_are_not_asked_about_texts():
    either = Annotated[int | str, Matches("[ab]", "that is a or b")]
    assert plan(either, 3).build({}) == 3
    assert plan(either, "b").build({}) == "b"
    assert problem(either, "c") == 'expected int | str that is a or b, found "c" (str)'


def test_schema():
    schema = json_schema(dict[str, SHARE | PATTERN], "texts")
    assert schema["additionalProperties"] == {
        "anyOf": [
            {"type": "string", "pattern": r"^(\d+%)$"},
            {"type": "string", "format": "regex"},
        ]
    }


def test_equal_when_they_say_the_same():
    assert Matches("a", "b") == Matches("a", "b")
    assert hash(Matches("a", "b")) == hash(Matches("a", "b"))
    assert Matches("a", "b") != Matches("a", "c")
