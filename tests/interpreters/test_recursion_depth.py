from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from hessinf.errors import HessinfError
from hessinf.interpreters import InfluenceInterpreter, SimpleInfluence
from hessinf.interpreters.recursion_depth import Depth, as_depth
from hessinf.testing import logistic_regression

BATCHES = 6  # 41 examples in batches of 8


def interpreter(depth: Any, **arguments: Any) -> SimpleInfluence:
    problem = logistic_regression()
    return SimpleInfluence(
        problem.module(), problem.train, recursion_depth=depth, lissa_batch_size=8, **arguments
    )


@pytest.mark.parametrize(
    ("depth", "steps"),
    [
        (1, 1),
        (7, 7),
        (250, 250),
        (0.25, 2),  # 1.5 steps: a part of a step counts as one
        (0.5, 3),
        (0.01, 1),
        (1.0, 6),
        (2.5, 15),
        ("25%", 2),
        ("100%", 6),
        (" 50 % ", 3),
        (".5%", 1),
        ({"epochs": 1}, 6),
        ({"epochs": 0.5}, 3),
        ({"steps": 7}, 7),
        (Depth(epochs=2), 12),
    ],
)
def test_depths(depth: Any, steps: int) -> None:
    assert interpreter(depth).steps == steps


@pytest.mark.parametrize(
    ("count", "share", "steps"), [(30, 0.1, 3), (10, 0.7, 7), (10, 0.71, 8), (100, 0.29, 29)]
)
def test_shares_are_not_rounded_up_by_binary_fractions(
    count: int, share: float, steps: int
) -> None:
    assert as_depth(share).count(count) == steps


GENERAL = (
    "recursion_depth must be steps (an int), a share of an epoch (a float), a percentage such as "
    '"25%", {{"epochs": ...}} or {{"steps": ...}}, found {!r}'
)


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (True, GENERAL.format(True)),
        (False, GENERAL.format(False)),
        ("abc", GENERAL.format("abc")),
        ("-5%", GENERAL.format("-5%")),
        ("25", GENERAL.format("25")),
        (None, GENERAL.format(None)),
        ([1], GENERAL.format([1])),
        ({"epoch": 1}, GENERAL.format({"epoch": 1})),
        (0, "recursion_depth must be at least 1 step, found 0"),
        (-1, "recursion_depth must be at least 1 step, found -1"),
        (0.0, "recursion_depth must be more than 0 epochs, found 0.0"),
        (-0.5, "recursion_depth must be more than 0 epochs, found -0.5"),
        (float("nan"), "recursion_depth must be more than 0 epochs, found nan"),
        (float("inf"), "recursion_depth must be more than 0 epochs, found inf"),
        ("0%", "recursion_depth must be more than 0 epochs, found 0.0"),
        ({}, 'recursion_depth takes either {"epochs": ...} or {"steps": ...}'),
        (
            {"epochs": 1, "steps": 1},
            'recursion_depth takes either {"epochs": ...} or {"steps": ...}',
        ),
    ],
)
def test_what_is_no_depth_is_refused(depth: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        interpreter(depth)


@pytest.mark.parametrize("depth", [0, -1, True, "abc", {"steps": 0}, {"epochs": 0}, [1]])
def test_a_config_with_a_wrong_depth_is_refused_with_its_place(depth: Any) -> None:
    problem = logistic_regression()
    with pytest.raises(HessinfError, match="recursion_depth") as caught:
        InfluenceInterpreter.from_config(
            {"type": "simple-influence", "recursion_depth": depth},
            model=problem.module(),
            train_data=problem.train,
        )
    assert caught.value.exit_status == 2


class TestIntsThatMayBeFloats:
    WARNING = (
        "recursion_depth 1 means 1 step, 0.167 epochs: an int counts steps. If 1.0 was written, "
        'Jsonnet printed it as 1: write "100%" or {"epochs": 1} for epochs, {"steps": 1} for steps'
    )

    def test_a_small_int_is_doubted_aloud(self, caplog: pytest.LogCaptureFixture) -> None:
        assert interpreter(1).steps == 1
        assert caplog.messages == [self.WARNING]

    def test_from_jsonnet(self, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
        file = tmp_path / "interpreter.jsonnet"
        file.write_text(
            '{ type: "simple-influence", recursion_depth: 1.0, lissa_batch_size: 8 }',
            encoding="utf-8",
        )
        problem = logistic_regression()
        built = InfluenceInterpreter.from_config(
            file, model=problem.module(), train_data=problem.train
        )
        assert built.steps == 1
        assert self.WARNING in caplog.messages

    @pytest.mark.parametrize("depth", [7, 1.0, "100%", {"epochs": 1}, {"steps": 1}])
    def test_what_is_clear_is_only_noted(
        self, depth: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            made = interpreter(depth)
        share = {7: "1.17", 6: "1", 1: "0.167"}[made.steps]
        noun = "step" if made.steps == 1 else "steps"
        assert caplog.record_tuples == [
            (
                "hessinf.interpreters.simple_influence",
                logging.INFO,
                f"recursion_depth {depth!r} means {made.steps} {noun}, {share} epochs",
            )
        ]
