"""What constructors refuse is found without the program."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hessinf.registry import Lazy, Problem, Registrable, plan, refusals


class Part(Registrable):
    injected = ("size",)


@Part.register("range")
class Range(Part):
    def __init__(self, low: int = 0, high: int = 1, inner: Part | None = None) -> None:
        if low > high:
            raise ValueError(f"low is {low}, but high is {high}")


@Part.register("sized")
class Sized(Part):
    def __init__(self, size: int, span: Range | None = None) -> None:
        raise ValueError("only the program can build this")


@dataclass
class Whole:
    now: Part = field(default_factory=Range)
    later: Lazy[Part] = field(default_factory=lambda: Lazy(Range))
    many: list[Part] = field(default_factory=list)
    named: dict[str, Part] = field(default_factory=dict)


WRONG = {"type": "range", "low": 3}
REFUSED = '"range" (RANGE) refused its arguments: low is 3, but high is 1'


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        ({}, []),
        ({"now": "range"}, []),
        ({"now": WRONG}, ["now"]),
        ({"later": WRONG}, ["later"]),
        ({"many": ["range", WRONG]}, ["many.1"]),
        ({"named": {"a": WRONG}}, ["named.a"]),
        ({"now": {"type": "range", "low": 9, "inner": WRONG}}, ["now.inner"]),
        (
            {"now": WRONG, "later": WRONG, "many": [WRONG, WRONG]},
            ["now", "later", "many.0", "many.1"],
        ),
    ],
)
def test_all_places(config, paths):
    name = f"{Range.__module__}.Range"
    expected = [Problem(path, REFUSED.replace("RANGE", name)) for path in paths]
    assert refusals(plan(Whole, config)) == expected


def test_what_the_program_has_to_inject_is_left_to_it_but_not_its_parts():
    assert refusals(plan(Whole, {"later": "sized"})) == []
    wrong = {"low": 3}
    found = refusals(plan(Whole, {"later": {"type": "sized", "span": wrong}}))
    assert [problem.path for problem in found] == ["later.span"]
