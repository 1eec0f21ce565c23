from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NewType, Optional, TypeVar, Union

import pytest

from hessinf.registry import Above, AtLeast, Below, Lazy, Registrable
from hessinf.registry.json_text import found, type_name
from hessinf.registry.signatures import Unresolved

T = TypeVar("T")
Seed = NewType("Seed", int)


class Solver(Registrable, Generic[T]):
    pass


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Odd(enum.Enum):
    SET = frozenset()


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (None, "null"),
        (Any, "any value"),
        (Path, "path (str)"),
        (list[int], "list[int]"),
        (Sequence[str], "list[str]"),
        (Mapping[str, float], "dict[str, float]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (int | None, "int | null"),
        (Optional[int], "int | null"),  # noqa: UP045
        (Union[int, str], "int | str"),  # noqa: UP007
        (Literal["a", 1, None], 'one of "a", 1, null'),
        (Color, 'one of "red", "blue"'),
        (Odd, 'one of "frozenset()"'),
        (Annotated[float, AtLeast(0)], "float >= 0"),
        (Annotated[float, Above(0), Below(1)], "float > 0 and < 1"),
        (Annotated[int, "a note"], "int"),
        (Seed, "int"),
        (Solver, "Solver"),
        (Solver[int], "Solver"),
        (Lazy[Solver], "Solver"),
        (list[Lazy[Solver] | None], "list[Solver | null]"),
        (Unresolved("Foo[int]", "NameError"), "Foo[int]"),
        (T, "any value"),
    ],
)
def test_type_name(annotation, text):
    assert type_name(annotation) == text


class TwoLines:
    def __repr__(self) -> str:
        return "two\n  lines"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true (bool)"),
        (3, "3 (int)"),
        ("64", '"64" (str)'),
        ("é", '"é" (str)'),
        ([1, 2], "[1, 2] (list)"),
        ({"a": 1}, '{"a": 1} (dict)'),
        ("x" * 100, '"' + "x" * 58 + "… (str)"),
        (TwoLines(), "two lines (TwoLines)"),
    ],
)
def test_found(value, text):
    assert found(value) == text
