from __future__ import annotations

import sys
from dataclasses import InitVar
from typing import Any, NewType, Protocol, TypeVar, Union

import pytest

from hessinf.registry.annotations import is_instance, plain

Seed = NewType("Seed", int)
Deep = NewType("Deep", Seed)
Free = TypeVar("Free")
Bounded = TypeVar("Bounded", bound=int)
Constrained = TypeVar("Constrained", int, str)


class Runs(Protocol):
    def run(self) -> None: ...


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, int),
        (list[int], list[int]),
        (Deep, int),
        (Free, Any),
        (Bounded, int),
        (Constrained, Union[int, str]),  # noqa: UP007
        (InitVar[int], int),
        ("text", "text"),
    ],
)
def test_plain(annotation, expected):
    assert plain(annotation) == expected


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement is new in 3.12")
def test_type_statement():
    names: dict[str, Any] = {}
    exec("type Sizes = list[int]", names)
    assert plain(names["Sizes"]) == list[int]


def test_is_instance():
    assert is_instance(3, int)
    assert not is_instance(3, str)
    assert not is_instance(3, Runs)
