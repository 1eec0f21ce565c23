"""Schedulers: factors over time."""

from __future__ import annotations

import math
import re

import pytest

from hessinf.registry import ConfigError
from hessinf.training import Scheduler


@pytest.mark.parametrize(
    ("config", "factors"),
    [
        ("constant", {0: 1.0, 5: 1.0, 9.9: 1.0}),
        ("cosine", {0: 1.0, 2.5: 0.5 + 0.5 * math.sqrt(0.5), 5: 0.5, 10: 0.0}),
        ({"type": "cosine", "final_factor": 0.2}, {0: 1.0, 5: 0.6, 10: 0.2}),
        ("linear", {0: 1.0, 5: 0.5, 7.5: 0.25, 10: 0.0}),
        ({"type": "linear", "final_factor": 0.5}, {0: 1.0, 5: 0.75, 10: 0.5}),
        ({"type": "exponential", "gamma": 0.5}, {0: 1.0, 0.9: 1.0, 1: 0.5, 3.5: 0.125}),
        (
            {"type": "step", "milestones": [2, 4], "gamma": 0.1},
            {0: 1.0, 1.9: 1.0, 2: 0.1, 3: 0.1, 4: 0.01, 9: 0.01},
        ),
    ],
)
def test_factors(config, factors):
    scheduler = Scheduler.from_config(config)
    for epoch, factor in factors.items():
        assert scheduler.factor(epoch, 10) == pytest.approx(factor, abs=1e-12)


@pytest.mark.parametrize("name", ["constant", "cosine", "linear", "exponential", "step"])
def test_warm_up_grows_to_the_start_of_the_schedule(name):
    more = {"milestones": [2]} if name == "step" else {}
    scheduler = Scheduler.from_config({"type": name, "warmup_epochs": 2, **more})
    plain = Scheduler.from_config({"type": name, **more})
    factors = [scheduler.factor(epoch, 10) for epoch in (0, 0.5, 1, 1.5, 2)]
    assert 0 < factors[0] < 1e-3
    assert factors == sorted(factors)
    assert factors[2] == pytest.approx(0.5, abs=1e-3)
    assert factors[-1] == 1
    assert scheduler.factor(6, 10) == plain.factor(4, 8)


def test_a_warm_up_as_long_as_training():
    scheduler = Scheduler.from_config({"type": "cosine", "warmup_epochs": 5})
    assert scheduler.factor(4.5, 5) == pytest.approx(0.9, abs=1e-3)


def test_default_and_names():
    names = ["constant", "cosine", "linear", "exponential", "step"]
    assert Scheduler.list_available() == names


def test_step_needs_milestones():
    message = (
        "milestones needs one epoch or more at which the learning rate falls, found []; for none "
        'take "constant"'
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        Scheduler.from_config("step")
