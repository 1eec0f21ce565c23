from __future__ import annotations

import enum
import functools
import json
import math
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hessinf.registry import Lazy, Registrable, plan
from hessinf.registry.plan import as_json, registered_name


class Color(enum.Enum):
    RED = "red"


class Optimizer(Registrable):
    default_implementation = "sgd"
    injected = ("parameters",)


@Optimizer.register("sgd")
class Sgd(Optimizer):
    def __init__(self, parameters: Any, rate: float = 0.1, betas: tuple[float, ...] = ()) -> None:
        self.parameters, self.rate, self.betas = parameters, rate, betas


@dataclass
class Point:
    x: int
    tags: list[str] = field(default_factory=lambda: ["t"])


class Trainer(Registrable):
    pass


@Trainer.register("trainer")
class OneTrainer(Trainer):
    def __init__(
        self,
        optimizer: Lazy[Optimizer] = Lazy(Sgd, rate=0.5),  # noqa: B008
        point: Point = Point(3),  # noqa: B008
        path: Path = Path("a/b"),
        color: Color = Color.RED,
        names: set[str] = frozenset({"b", "a", "c"}),
        limit: float = math.inf,
        sizes: tuple[int, ...] = (1, 2),
        table: dict[Color, int] | None = None,
        extra: Any = None,
    ) -> None:
        self.optimizer, self.extra = optimizer, extra


def test_resolved_writes_out_every_default_with_type_first():
    resolved = plan(Trainer, {"extra": {"a": 1}, "type": "trainer"}).resolved()
    assert resolved == {
        "type": "trainer",
        "extra": {"a": 1},
        "optimizer": {"type": "sgd", "rate": 0.5, "betas": []},
        "point": {"x": 3, "tags": ["t"]},
        "path": "a/b",
        "color": "red",
        "names": ["a", "b", "c"],
        "limit": "inf",
        "sizes": [1, 2],
        "table": None,
    }
    assert next(iter(resolved)) == "type"
    assert json.loads(json.dumps(resolved, allow_nan=False)) == resolved


def test_resolved_of_nested_parts():
    resolved = plan(
        Trainer,
        {
            "type": "trainer",
            "optimizer": {"rate": 1},
            "point": {"x": 1},
            "table": {"red": 2},
            "names": ["x"],
        },
    ).resolved()
    assert resolved["optimizer"] == {"type": "sgd", "rate": 1.0, "betas": []}
    assert resolved["point"] == {"x": 1, "tags": ["t"]}
    assert resolved["table"] == {"red": 2}
    assert resolved["names"] == ["x"]


def test_resolved_is_a_config_that_resolves_to_itself():
    resolved = plan(Trainer, {"type": "trainer", "limit": 3}).resolved()
    assert plan(Trainer, resolved).resolved() == resolved


def test_values_are_not_shared_between_builds():
    planned = plan(Trainer, {"type": "trainer", "extra": {"a": [1]}})
    first, second = planned.build({}), planned.build({})
    first.extra["a"].append(2)
    assert second.extra == {"a": [1]}


def test_a_plan_can_be_sent_to_another_process():
    planned = plan(Optimizer, {"rate": 3}, injected=["parameters"])
    assert pickle.loads(pickle.dumps(planned)).build({"parameters": 1}).rate == 3.0


class Unnamed:
    pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Color.RED, "red"),
        (Path("x"), "x"),
        ({Color.RED: (1, 2)}, {"red": [1, 2]}),
        (float("nan"), "nan"),
        (Sgd(None, 2.0), {"type": "sgd", "rate": 2.0, "betas": []}),
        (Sgd, f"{__name__}.Sgd"),
        (len, "builtins.len"),
        (functools.partial(len), "functools.partial"),
        (Unnamed(), f"{__name__}.Unnamed"),
        (Lazy(Sgd, rate=3), {"type": "sgd", "rate": 3, "betas": []}),
        (Lazy(Point, x=1), {"type": f"{__name__}.Point", "x": 1, "tags": ["t"]}),
        (Lazy(Sgd, spec={"type": "x"}), {"type": "x"}),
    ],
)
def test_as_json(value, expected):
    assert as_json(value) == expected


def test_registered_name():
    assert registered_name(Sgd) == "sgd"
    assert registered_name(Optimizer) is None
    assert registered_name(int) is None
