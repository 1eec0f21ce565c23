from __future__ import annotations

import pickle
import re
from typing import Annotated, Any

import pytest

from hessinf.registry import AtLeast, ConfigError, Lazy, Registrable, plan


class Schedule(Registrable):
    injected = ("steps",)


@Schedule.register("cosine")
class Cosine(Schedule):
    def __init__(self, steps: int, floor: float = 0.0) -> None:
        self.steps, self.floor = steps, floor


class Optimizer(Registrable):
    default_implementation = "sgd"
    injected = ("parameters", "seed")


@Optimizer.register("sgd")
class Sgd(Optimizer):
    def __init__(
        self,
        parameters: Any,
        rate: Annotated[float, AtLeast(0)] = 0.1,
        schedule: Schedule | None = None,
    ) -> None:
        self.parameters, self.rate, self.schedule = parameters, rate, schedule


class Trainer(Registrable):
    def __init__(
        self,
        optimizer: Lazy[Optimizer] = Lazy(Sgd, rate=0.7),  # noqa: B008
        more: list[Lazy[Optimizer]] | None = None,
        maybe: Lazy[Optimizer | None] | None = None,
    ) -> None:
        self.optimizer, self.more, self.maybe = optimizer, more, maybe


Trainer.register("trainer")(Trainer)


def make(**config: Any) -> Trainer:
    return Trainer.from_config({"type": "trainer", **config})


def test_it_is_validated_at_once():
    with pytest.raises(ConfigError) as raised:
        make(optimizer={"rate": -1, "schedule": {"type": "cosin"}}, more=[{"rat": 1}])
    assert [problem.path for problem in raised.value.problems] == [
        "optimizer.rate",
        "optimizer.schedule.type",
        "more.0.rat",
    ]


def test_it_is_constructed_many_times():
    lazy = make(optimizer={"rate": 2}).optimizer
    first, second = lazy.construct(parameters=[1]), lazy.construct(parameters=[2])
    assert first is not second
    assert (first.parameters, second.parameters, first.rate) == ([1], [2], 2.0)


def test_arguments_of_construct_win_over_the_config():
    assert make(optimizer={"rate": 2}).optimizer.construct(parameters=1, rate=9).rate == 9


def test_injected_arguments_reach_inner_objects():
    lazy = make(optimizer={"schedule": "cosine"}).optimizer
    assert lazy.construct(parameters=1, steps=10).schedule.steps == 10


def test_missing_injected_argument_at_construct():
    with pytest.raises(
        ConfigError,
        match="^"
        + re.escape(
            "config error: 1 problem\n"
            f'  optimizer.parameters   "sgd" ({__name__}.Sgd) needs this argument, which the '
            "program passes, not the config: from_config(..., parameters=...)"
        )
        + "$",
    ):
        make(optimizer="sgd").optimizer.construct()


def test_misspelt_argument_of_construct():
    lazy = make(optimizer="sgd").optimizer
    with pytest.raises(TypeError, match=r"\"sgd\" \(\S+\.Sgd\) takes no argument 'parametrs'$"):
        lazy.construct(parameters=1, parametrs=2)


def test_what_the_base_declares_may_always_be_passed():
    assert make(optimizer="sgd").optimizer.construct(parameters=1, seed=3).parameters == 1


def test_default_value():
    lazy = make().optimizer
    assert lazy.construct(parameters=1).rate == 0.7
    assert lazy.construct(parameters=1, rate=2).rate == 2
    assert plan(Trainer, {}).resolved()["optimizer"] == {
        "type": "sgd",
        "rate": 0.7,
        "schedule": None,
    }


def test_lists_and_optionals():
    trainer = make(more=["sgd", {"rate": 4}], maybe=None)
    assert [lazy.construct(parameters=1).rate for lazy in trainer.more] == [0.1, 4.0]
    assert trainer.maybe is None
    assert make(maybe="sgd").maybe.construct(parameters=1).rate == 0.1


def test_spec_has_every_default():
    lazy = make(optimizer={"rate": 2}).optimizer
    assert lazy.spec == {"type": "sgd", "rate": 2.0, "schedule": None}
    assert repr(lazy) == "Lazy({'type': 'sgd', 'rate': 2.0, 'schedule': None})"


def test_made_in_code():
    assert Lazy(dict, a=1).construct(b=2) == {"a": 1, "b": 2}
    assert Lazy(dict, a=1).construct(a=3) == {"a": 3}
    assert repr(Lazy(dict)) == "Lazy(<class 'dict'>)"
    ready = Lazy(Sgd, rate=5.0)
    assert make(optimizer=ready).optimizer is ready


def test_it_can_be_sent_to_another_process():
    lazy = pickle.loads(pickle.dumps(make(optimizer={"rate": 2}).optimizer))
    assert lazy.construct(parameters=1).rate == 2.0
