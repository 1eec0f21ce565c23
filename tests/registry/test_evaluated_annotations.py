"""Annotations that are evaluated: the twin of test_string_annotations.py."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Optional

import pytest

from hessinf.registry import AtLeast, ConfigError, Lazy, Registrable


class Model:
    pass


@dataclass
class Step:
    size: float
    names: list[str] = field(default_factory=list)


class Part(Registrable):
    injected = ("model",)

    def __init__(self, model: Model, scale: Annotated[float, AtLeast(0)] = 1.0) -> None:
        self.scale = scale


@Part.register("part")
class OnePart(Part):
    def __init__(self, *args: Any, mode: Literal["a", "b"] = "a", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mode = mode


class Whole(Registrable):
    def __init__(
        self,
        part: Part,
        later: Lazy[Part],
        step: Step | None = None,
        many: dict[str, list[Part]] | None = None,
        quoted: "list['Step'] | None" = None,
        old: Optional["Step"] = None,
    ) -> None:
        self.part, self.later, self.step, self.many = part, later, step, many
        self.quoted, self.old = quoted, old


Whole.register("whole")(Whole)
GOOD = {
    "type": "whole",
    "part": {"type": "part", "mode": "b"},
    "later": "part",
    "step": {"size": 1, "names": ["x"]},
    "many": {"k": ["part", {"type": "part", "scale": 2}]},
    "quoted": [{"size": 2}],
    "old": {"size": 3},
}
BAD = {
    "type": "whole",
    "part": {"type": "part", "mode": "c"},
    "later": {"type": "part", "scale": -1},
    "step": {"size": "1", "names": "x"},
    "many": {"k": ["part", {"type": "prat"}]},
    "quoted": [{"size": True}],
    "old": {"sice": 3},
}


def test_every_annotation_is_understood():
    whole = Whole.from_config(GOOD, model="m")
    assert (whole.part.mode, whole.later.construct().scale) == ("b", 1.0)
    assert whole.step == Step(1.0, ["x"])
    assert [part.scale for part in whole.many["k"]] == [1.0, 2.0]
    assert (whole.quoted, whole.old) == ([Step(2.0)], Step(3.0))


def test_every_annotation_is_checked():
    with pytest.raises(ConfigError) as raised:
        Whole.from_config(BAD, model="m")
    assert [(problem.path, problem.message) for problem in raised.value.problems] == [
        ("part.mode", 'expected one of "a", "b", found "c" (str)'),
        ("later.scale", "expected float >= 0, found -1 (int)"),
        ("step.size", 'expected float, found "1" (str)'),
        ("step.names", 'expected list[str], found "x" (str); did you mean ["x"]?'),
        ("many.k.1.type", 'no Part is registered as "prat"; did you mean "part"?'),
        ("quoted.0.size", "expected float, found true (bool)"),
        ("old.sice", f'unknown argument of {__name__}.Step; did you mean "size"?'),
        ("old.size", f"missing required argument of {__name__}.Step, expected float"),
    ]


def test_classes_inside_functions():
    class Size(Registrable):
        def __init__(self, width: int = 1) -> None:
            self.width = width

    class Local(Registrable):
        pass

    @Local.register("here")
    class Here(Local):
        def __init__(self, size: Size, sizes: list[Size]) -> None:
            self.size, self.sizes = size, sizes

    Size.register("size")(Size)
    made = Local.from_config(
        {"type": "here", "size": {"type": "size", "width": 4}, "sizes": ["size"]}
    )
    assert (made.size.width, made.sizes[0].width) == (4, 1)
