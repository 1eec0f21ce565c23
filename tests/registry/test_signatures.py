"""What constructors take, behind ``**kwargs`` too."""

from __future__ import annotations

import functools
import sys
import types
from dataclasses import InitVar, dataclass, field
from typing import Any

import pytest

from hessinf.registry import ConfigError, Registrable
from hessinf.registry.signatures import MISSING, MadeAnew, Unresolved, constructor_arguments


class Base(Registrable):
    def __init__(self, damping: float, seed: int = 0) -> None:
        self.damping, self.seed = damping, seed


@Base.register("middle")
class Middle(Base):
    def __init__(self, *args: Any, depth: int = 1, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.depth = depth

    @classmethod
    def shallow(cls, factor: int = 2, **kwargs: Any) -> Middle:
        return cls(**kwargs)

    @classmethod
    def closed(cls, factor: int = 2) -> Middle:
        return cls(damping=1.0, depth=factor)


@Base.register("leaf")
class Leaf(Middle):
    def __init__(self, seed: str = "a", **kwargs: Any) -> None:
        super().__init__(**kwargs)


Base.register("closed", constructor="closed")(Middle)


class NoOwnInit(Leaf):
    pass


class Stop(Leaf):
    def __init__(self, only: int) -> None:
        super().__init__(damping=1.0)


def names(target: Any, constructor: str | None = None) -> list[str]:
    return list(constructor_arguments(target, constructor))


def test_kwargs_are_followed_up_the_hierarchy():
    assert names(Leaf) == ["seed", "depth", "damping"]
    assert names(NoOwnInit) == names(Leaf)
    assert names(Stop) == ["only"]


def test_a_subclass_hides_what_it_inherits():
    argument = constructor_arguments(Leaf)["seed"]
    assert (argument.type(), argument.default) == (str, "a")


def test_kwargs_of_a_class_method_reach_the_constructor():
    assert names(Middle, "shallow") == ["factor", "depth", "damping", "seed"]
    assert names(Middle, "closed") == ["factor"]


def test_leftover_argument_is_an_error():
    with pytest.raises(ConfigError) as raised:
        Base.from_config({"type": "leaf", "damping": 1, "sed": "x"})
    (problem,) = raised.value.problems
    assert problem.path == "sed"
    assert problem.message == (
        f'unknown argument of "leaf" ({__name__}.Leaf); did you mean "seed"?'
    )
    assert problem.details == ("accepts: damping, depth, seed",)
    with pytest.raises(ConfigError, match=r'unknown argument of "closed"'):
        Base.from_config({"type": "closed", "damping": 1})


def test_positional_only_arguments_cannot_be_named():
    class Odd(Base):
        def __init__(self, first: int, /, second: int) -> None: ...

    assert names(Odd) == ["second"]


def test_a_class_without_a_constructor():
    class Plain(Registrable):
        pass

    Plain.register("plain")(type("P", (Plain,), {}))
    assert names(Plain) == []
    with pytest.raises(ConfigError) as raised:
        Plain.from_config({"type": "plain", "x": 1})
    assert raised.value.problems[0].details == ("accepts: nothing",)


def test_a_class_that_inherits_from_c():
    class Both(Base, dict):
        def __init__(self, size: int, **kwargs: Any) -> None: ...

    assert names(Both) == ["size", "damping", "seed"]


def test_a_wrapped_constructor():
    def logged(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    class Wrapped(Base):
        @logged
        def __init__(self, size: int) -> None: ...

    assert constructor_arguments(Wrapped)["size"].type() is int


@dataclass
class Fields:
    rate: float
    names: list[str] = field(default_factory=lambda: ["a"])
    start: InitVar[int] = 3
    hidden: int = field(init=False, default=0)


def test_dataclass():
    arguments = constructor_arguments(Fields)
    assert list(arguments) == ["rate", "names", "start"]
    assert arguments["rate"].default is MISSING
    assert arguments["rate"].required
    assert isinstance(arguments["names"].default, MadeAnew)
    assert arguments["names"].default.factory() == ["a"]


def test_a_subclass_of_a_dataclass_with_a_default_of_its_own():
    class Own(Fields):
        def __init__(self, names: tuple[str, ...] = ("b",), **kwargs: Any) -> None: ...

    assert constructor_arguments(Own)["names"].default == ("b",)
    assert isinstance(constructor_arguments(Fields)["names"].default, MadeAnew)


@pytest.fixture
def other_module(monkeypatch):
    """A module whose annotations name what only it knows."""
    module = types.ModuleType("module_of_a_base")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    text = """
from __future__ import annotations
from dataclasses import dataclass
Size = int
@dataclass
class Inherited:
    size: Size
class Making:
    def __init__(self, size: Size): ...
    @classmethod
    def make(cls, length: Size): ...
"""
    exec(compile(text, "module_of_a_base.py", "exec"), vars(module))
    return module


def test_annotations_are_looked_up_where_they_were_written(other_module):
    @dataclass
    class Below(other_module.Inherited):
        more: int = 0

    class Child(other_module.Making):
        def __init__(self, **kwargs: Any) -> None: ...

    assert constructor_arguments(Below)["size"].type() is int
    assert constructor_arguments(Child)["size"].type() is int
    assert constructor_arguments(Child, "make")["length"].type() is int


def test_annotation_that_cannot_be_resolved():
    class Odd:
        def __init__(self, x: NoSuchName) -> None: ...  # noqa: F821

    unresolved = constructor_arguments(Odd)["x"].type()
    assert unresolved == Unresolved("NoSuchName", "NameError: name 'NoSuchName' is not defined")


def test_without_annotation_anything_goes():
    class Odd:
        def __init__(self, x) -> None: ...

    assert constructor_arguments(Odd)["x"].type() is Any
