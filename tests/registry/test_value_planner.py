"""Coercion: pydantic's strict JSON mode is the specification."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NewType,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
    Union,
)

import pytest

from hessinf.registry import Above, AtLeast, Between, ConfigError, Lazy, Registrable, plan


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Twisted(enum.Enum):
    A = "B"
    B = "A"


Kind = TypeVar("Kind")
Number = TypeVar("Number", int, str)
Bounded = TypeVar("Bounded", bound=int)
Seed = NewType("Seed", int)


class Solver(Registrable):
    default_implementation = "lissa"


@Solver.register("lissa")
class Lissa(Solver):
    def __init__(self, depth: int = 3) -> None:
        self.depth = depth

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lissa) and self.depth == other.depth

    __hash__ = None


class Generically(Registrable, Generic[Kind]):
    pass


@Generically.register("one")
class One(Generically[int]):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, One)

    __hash__ = None


@dataclass
class Point:
    x: int
    y: int = 0


class Shape(TypedDict):
    sides: int


class Runs(Protocol):
    def run(self) -> None: ...


READY = Lissa(9)


@pytest.mark.parametrize(
    ("annotation", "value", "built"),
    [
        (bool, True, True),
        (int, 3, 3),
        (int, 2**70, 2**70),
        (float, 0.5, 0.5),
        (float, 3, 3.0),
        (str, "a", "a"),
        (str, "None", "None"),
        (str, "", ""),
        (None, None, None),
        (Any, {"a": [1]}, {"a": [1]}),
        (object, 3, 3),
        (Path, "a/b", Path("a/b")),
        (list, [1, "a"], [1, "a"]),
        (list[int], [1, 2], [1, 2]),
        (list[int], [], []),
        (list[list[int]], [[1], []], [[1], []]),
        (Sequence[int], [1], [1]),
        (Iterable[int], [1], [1]),
        (tuple, [1, "a"], (1, "a")),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple[int, ...], [1, 2, 3], (1, 2, 3)),
        (tuple[int, ...], [], ()),
        (set[int], [1, 2, 2], {1, 2}),
        (frozenset[str], ["a"], frozenset("a")),
        (set[tuple[int, int]], [[1, 2]], {(1, 2)}),
        (dict, {"a": None}, {"a": None}),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (dict[int, str], {"1": "a", "-2": "b"}, {1: "a", -2: "b"}),
        (dict[float, str], {"0.5": "a"}, {0.5: "a"}),
        (dict[Literal["a"], int], {"a": 1}, {"a": 1}),
        (dict[Color, int], {"red": 1}, {Color.RED: 1}),
        (Mapping[str, list[int]], {"a": [1]}, {"a": [1]}),
        (Literal["a", 1], 1, 1),
        (Literal[None, "a"], None, None),
        (Color, "red", Color.RED),
        (Color, "RED", Color.RED),
        (Twisted, "A", Twisted.B),
        (Level, 2, Level.HIGH),
        (int | None, None, None),
        (int | None, 3, 3),
        (Optional[int], None, None),  # noqa: UP045
        (Union[int, str], "a", "a"),  # noqa: UP007
        (int | float, 1, 1),
        (float | int, 1, 1),
        (float | Annotated[int, AtLeast(0)], 1, 1),
        (float | int, 1.5, 1.5),
        (bool | int, True, True),
        (int | bool, True, True),
        (str | Path, "a", "a"),
        (list[int] | list[str], ["a"], ["a"]),
        (int | list[int], [1], [1]),
        (Annotated[float, AtLeast(0)], 0, 0.0),
        (Annotated[float | None, AtLeast(0)], None, None),
        (Annotated[int | str, AtLeast(0)], "a", "a"),
        (Annotated[float, Above(0)] | Literal["auto"], "auto", "auto"),
        (Seed, 3, 3),
        (Kind, [1], [1]),
        (Number, "a", "a"),
        (Bounded, 3, 3),
        (Solver, "lissa", Lissa()),
        (Solver, {"type": "lissa", "depth": 5}, Lissa(5)),
        (Solver, {"depth": 5}, Lissa(5)),
        (Solver, READY, READY),
        (Solver | None, None, None),
        (Solver | None, {"depth": 5}, Lissa(5)),
        (Solver | float, 1, 1.0),
        (Solver | float, "lissa", Lissa()),
        (Solver | str, "anything", "anything"),
        (list[Solver], ["lissa", {"depth": 5}], [Lissa(), Lissa(5)]),
        (dict[str, Solver], {"a": "lissa"}, {"a": Lissa()}),
        (tuple[Solver, int], ["lissa", 1], (Lissa(), 1)),
        (list[Solver | None], [None, "lissa"], [None, Lissa()]),
        (dict[str, list[Solver]], {"a": [{"depth": 5}]}, {"a": [Lissa(5)]}),
        (Solver | list[Solver], [{"depth": 5}], [Lissa(5)]),
        (Generically[int], "one", One()),
        (Generically, "one", One()),
        (Point, {"x": 1}, Point(1)),
        (Point | None, {"x": 1, "y": 2}, Point(1, 2)),
        (list[Point], [{"x": 1}], [Point(1)]),
        (Solver | Point, {"x": 1}, Point(1)),
        (Callable[[int], int], len, len),
    ],
)
def test_accepts(annotation, value, built):
    result = plan(annotation, value).build({})
    assert result == built
    assert type(result) is type(built)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (bool, 1, "expected bool, found 1 (int)"),
        (bool, "true", 'expected bool, found "true" (str)'),
        (int, True, "expected int, found true (bool)"),
        (int, 3.0, "expected int, found 3.0 (float)"),
        (int, "3", 'expected int, found "3" (str)'),
        (int, None, "expected int, found null"),
        (
            int,
            2.0**60,
            "expected int, found 1.152921504606847e+18 (float); "
            "Jsonnet's numbers lose digits from 2^53 on",
        ),
        (float, True, "expected float, found true (bool)"),
        (float, "0.5", 'expected float, found "0.5" (str)'),
        (
            float,
            float("inf"),
            "expected float, found Infinity (float); JSON has no such number",
        ),
        (float, float("nan"), "expected float, found NaN (float); JSON has no such number"),
        (str, 3, "expected str, found 3 (int)"),
        (str, None, "expected str, found null"),
        (str, ["a"], 'expected str, found ["a"] (list)'),
        (None, 0, "expected null, found 0 (int)"),
        (Path, 3, "expected path (str), found 3 (int)"),
        (list[str], "abc", 'expected list[str], found "abc" (str); did you mean ["abc"]?'),
        (Sequence[str], "abc", 'expected list[str], found "abc" (str); did you mean ["abc"]?'),
        (
            tuple[str, ...],
            "abc",
            'expected tuple[str, ...], found "abc" (str); did you mean ["abc"]?',
        ),
        (set[str], "abc", 'expected set[str], found "abc" (str); did you mean ["abc"]?'),
        (list[int], 3, "expected list[int], found 3 (int); did you mean [3]?"),
        (list[int], {"a": 1}, 'expected list[int], found {"a": 1} (dict)'),
        (
            tuple[int, int],
            [1],
            "expected tuple[int, int] with 2 items, found 1 items: [1] (list)",
        ),
        (
            tuple[int, int],
            [1, 2, 3],
            "expected tuple[int, int] with 2 items, found 3 items: [1, 2, 3] (list)",
        ),
        (dict[str, int], [1], "expected dict[str, int], found [1] (list)"),
        (Literal["a", "b"], "c", 'expected one of "a", "b", found "c" (str)'),
        (
            Literal["mean", "sum"],
            "maen",
            'expected one of "mean", "sum", found "maen" (str); did you mean "mean"?',
        ),
        (Literal[1], True, "expected one of 1, found true (bool)"),
        (Literal[0, 1], "1", 'expected one of 0, 1, found "1" (str)'),
        (Color, "rde", 'expected one of "red", "blue", found "rde" (str); did you mean "red"?'),
        (Level, "2", 'expected one of 1, 2, found "2" (str)'),
        (Level, True, "expected one of 1, 2, found true (bool)"),
        (int | None, "zzz", 'expected int | null, found "zzz" (str)'),
        (int | str, None, "expected int | str, found null"),
        (int | str, True, "expected int | str, found true (bool)"),
        (
            float | Literal["auto"],
            "aut",
            'expected float | one of "auto", found "aut" (str); did you mean "auto"?',
        ),
        (Annotated[float, AtLeast(0)], -1, "expected float >= 0, found -1 (int)"),
        (Annotated[int, Above(0)], 0, "expected int > 0, found 0 (int)"),
        (
            Annotated[float, Between(0, 1)],
            1.5,
            "expected float between 0 and 1, found 1.5 (float)",
        ),
        (Annotated[float, AtLeast(0)] | None, -1, "expected float >= 0, found -1 (int)"),
        (
            Solver,
            3,
            'expected Solver, found 3 (int); write a registered name, or {"type": name, ...} '
            "(registered: lissa)",
        ),
        (Point, 3, "expected Point, found 3 (int); write an object with x, y"),
        (
            complex,
            3,
            "cannot be given in a config: it is annotated as complex, which is neither JSON, nor "
            "registrable, nor a dataclass; found 3 (int)",
        ),
        (
            Runs,
            3,
            "cannot be given in a config: it is annotated as Runs, which is neither JSON, nor "
            "registrable, nor a dataclass; found 3 (int)",
        ),
        (
            Shape,
            {"sides": 3},
            "cannot be given in a config: it is annotated as Shape, which is neither JSON, nor "
            'registrable, nor a dataclass; found {"sides": 3} (dict)',
        ),
    ],
)
def test_rejects(annotation, value, message):
    with pytest.raises(ConfigError) as raised:
        plan(annotation, value)
    (problem,) = raised.value.problems
    assert problem.message == message
    assert problem.path == ""


@pytest.mark.parametrize(
    ("annotation", "value", "path", "message"),
    [
        (list[int], [1, "64"], "1", 'expected int, found "64" (str)'),
        (list[int | None], ["zzz"], "0", 'expected int | null, found "zzz" (str)'),
        (dict[str, list[int]], {"a": [1, None]}, "a.1", "expected int, found null"),
        (tuple[int, str], [1, 2], "1", "expected str, found 2 (int)"),
        (dict[int, str], {"x": "a"}, "x", 'as a key, expected int, found "x" (str)'),
        (dict[int, str], {"--1": "a"}, "--1", 'as a key, expected int, found "--1" (str)'),
        (dict[Literal["a"], int], {"b": 1}, "b", 'as a key, expected one of "a", found "b" (str)'),
        (set[Any], [[1]], "0", "cannot be in a set, found [1] (list)"),
        (Point | None, {"x": "1"}, "x", 'expected int, found "1" (str)'),
        (list[Point] | None, [{"x": 1}, {"x": "1"}], "1.x", 'expected int, found "1" (str)'),
        (Solver | None, {"depth": "1"}, "depth", 'expected int, found "1" (str)'),
        (Lazy[Solver] | None, {"depth": "1"}, "depth", 'expected int, found "1" (str)'),
        (Solver | float, {"depth": "1"}, "depth", 'expected int, found "1" (str)'),
        (
            Solver | float,
            {"type": "lisa"},
            "type",
            'no Solver is registered as "lisa"; did you mean "lissa"?',
        ),
        (
            Solver | float,
            "lisa",
            "type",
            'no Solver is registered as "lisa"; did you mean "lissa"?',
        ),
        (Solver | Point, {"type": "lissa", "depth": "1"}, "depth", 'expected int, found "1" (str)'),
        (Solver | Point, {"x": "1"}, "x", 'expected int, found "1" (str)'),
        (Solver, {"type": None}, "type", "expected the name of a Solver, found null"),
        (Solver, {"type": 3}, "type", "expected the name of a Solver, found 3 (int)"),
        (
            list[Solver],
            ["lissa", {"type": "lisa"}],
            "1.type",
            'no Solver is registered as "lisa"; did you mean "lissa"?',
        ),
    ],
)
def test_deep_problems_keep_their_path(annotation, value, path, message):
    with pytest.raises(ConfigError) as raised:
        plan(annotation, value)
    (problem,) = raised.value.problems
    assert (problem.path, problem.message) == (path, message)


def test_union_shows_one_line_for_each_branch():
    with pytest.raises(ConfigError) as raised:
        plan(list[int] | dict[str, list[int]] | list[bool], ["a", 1])
    assert str(raised.value) == (
        "config error: expected list[int] | dict[str, list[int]] | list[bool], "
        'found ["a", 1] (list)\n'
        '  as list[int]: 0: expected int, found "a" (str)\n'
        '  as list[bool]: 0: expected bool, found "a" (str); 1: expected bool, found 1 (int)\n'
        '  as dict[str, list[int]]: expected dict[str, list[int]], found ["a", 1] (list)'
    )


def test_union_of_words_and_registered_names_lists_both():
    with pytest.raises(ConfigError) as raised:
        plan(Literal["none", "listless"] | Solver, "listles")
    (problem,) = raised.value.problems
    assert (problem.path, problem.message) == (
        "type",
        'no Solver is registered as "listles"; did you mean "listless"?',
    )
    assert problem.details[0] == "names in this place: none, listless"
    assert problem.details[1].startswith("registered: ")
    with pytest.raises(ConfigError) as raised:
        plan(Literal["none"] | Solver, {"type": "lissa", "depht": 3})
    assert "names in this place" not in str(raised.value)


def test_union_of_objects_that_cannot_be_told_apart():
    with pytest.raises(ConfigError) as raised:
        plan(Solver | Point, {"z": 1})
    problem = raised.value.problems[0]
    assert problem.message == 'expected Solver | Point, found {"z": 1} (dict)'
    assert [line.partition(": ")[0] for line in problem.details] == ["as Solver", "as Point"]


def test_unresolved_annotation():
    class Odd(Registrable):
        def __init__(self, x: NoSuchName = 3) -> None: ...  # noqa: F821

    Odd.register("odd")(Odd)
    assert isinstance(Odd.from_config("odd"), Odd)
    with pytest.raises(ConfigError) as raised:
        Odd.from_config({"type": "odd", "x": 1})
    assert raised.value.problems[0].message == (
        'the annotation "NoSuchName" cannot be resolved '
        "(NameError: name 'NoSuchName' is not defined); import its names where the class is "
        "defined, outside TYPE_CHECKING"
    )


def test_the_string_none_stays_a_string_and_the_input_is_not_changed():
    config = {"type": "lissa", "depth": 3}
    plan(Solver, config)
    assert config == {"type": "lissa", "depth": 3}
    values = {"a": "None"}
    assert plan(dict[str, str | None], values).build({}) == {"a": "None"}
