"""Scores at several dampings, the curvature being learnt once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hessinf.gradients import Gradients
from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.testing import logistic_regression, multilayer_perceptron
from hessinf.testing.problems import Problem


class Scaled(InfluenceInterpreter):
    """``(1 + λ)⁻¹``: the identity, damped."""

    fits = 0

    def __init__(self, *args: Any, damping: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.damping = damping

    def fit(self) -> None:
        type(self).fits += 1
        self.damping_ = self.damping

    def precondition(self, gradients: Gradients) -> Gradients:
        return gradients * (1 / (1 + self.damping_))

    def change_damping(self, damping: float) -> None:
        if damping < 0:
            raise ValueError(f"damping must be >= 0, found {damping}")
        self.damping = self.damping_ = damping


class OwnRule(Scaled):
    """Looks at its damping as it scores."""

    def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
        return query_gradients.dot(train_gradients) + self.damping_


class Neither(InfluenceInterpreter):
    """Takes a damping for good."""

    def __init__(self, *args: Any, damping: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def precondition(self, gradients: Gradients) -> Gradients:
        return gradients


def make(problem: Problem, cls: Any, **arguments: Any) -> Any:
    given = {"objective": problem.objective, "weight_decay": problem.weight_decay, **arguments}
    return cls(problem.module(), problem.train, **given)


DAMPINGS = [0.0, 0.5, 3.0]


@pytest.mark.parametrize("cls", [Scaled, OwnRule])
@pytest.mark.parametrize("keep", [True, False])
def test_each_damping_as_if_it_were_the_interpreters(cls: Any, keep: bool) -> None:
    problem = multilayer_perceptron()
    interpreter = make(problem, cls, damping=0.25, query_batch_size=2, batch_size=5).fit()
    if not keep:
        interpreter.kept_pass.memory = 0
    before = interpreter.scores(problem.queries)
    fits = cls.fits
    found = interpreter.scores_by_damping(problem.queries, DAMPINGS)
    assert cls.fits == fits
    assert found.shape == (3, 5, 37)
    for row, damping in zip(found, DAMPINGS, strict=True):
        expected = make(problem, cls, damping=damping).scores(problem.queries)
        np.testing.assert_allclose(row, expected, rtol=1e-10, atol=1e-14)
    assert interpreter.damping == interpreter.damping_ == interpreter.arguments["damping"] == 0.25
    assert interpreter.scores(problem.queries).tobytes() == before.tobytes()


@pytest.mark.parametrize("relative", [False, True])
def test_methods_of_the_catalogue(relative: bool) -> None:
    """Every registered method that can change its damping, beside itself made with each."""
    problem = logistic_regression()
    dampings: list[Any] = [{"relative": 0.1}, 0.01] if relative else [1e-3, 0.7]
    changing = [
        name
        for name in InfluenceInterpreter.list_available()
        if "change_damping" in dir(InfluenceInterpreter.by_name(name))
        and InfluenceInterpreter.by_name(name).__module__.startswith("hessinf.")
        and InfluenceInterpreter.by_name(name).change_damping
        is not InfluenceInterpreter.change_damping
    ]
    assert "exact" in changing
    for name in changing:
        cls = InfluenceInterpreter.by_name(name)
        found = make(problem, cls, damping=0.2).scores_by_damping(problem.queries, dampings)
        for row, damping in zip(found, dampings, strict=True):
            expected = make(problem, cls, damping=damping).scores(problem.queries)
            np.testing.assert_allclose(row, expected, rtol=1e-7, atol=1e-10, err_msg=name)


class TestFingerprints:
    def test_the_damping_in_use_is_the_one_that_is_saved(self, tmp_path: Path) -> None:
        problem = logistic_regression()
        interpreter = make(problem, InfluenceInterpreter.by_name("exact"), damping=0.1).fit()
        interpreter.change_damping(0.5)
        scores = interpreter.scores(problem.queries)
        interpreter.save(tmp_path / "factors")
        other = make(problem, InfluenceInterpreter.by_name("exact"), damping=0.1)
        with pytest.raises(InterpreterError, match=r"arguments\.damping: saved 0\.5, now 0\.1$"):
            other.restore(tmp_path / "factors")
        loaded = InfluenceInterpreter.load(tmp_path / "factors", problem.module(), problem.train)
        np.testing.assert_array_equal(loaded.scores(problem.queries), scores)


class TestRefusals:
    def test_methods_that_cannot_say_which_can(self) -> None:
        interpreter = make(logistic_regression(), InfluenceInterpreter.by_name("simple-influence"))
        message = (
            r"^simple-influence cannot change its damping without fitting again: make an "
            r"interpreter for each damping; methods that can: .*\bexact\b"
        )
        with pytest.raises(InterpreterError, match=message):
            interpreter.scores_by_damping(logistic_regression().queries, [0.1])
        assert not interpreter.fitted, "found out before a long fit"

    def test_methods_of_others(self) -> None:
        interpreter = make(logistic_regression(), Neither)
        with pytest.raises(InterpreterError, match="Neither cannot change its damping without"):
            interpreter.change_damping(0.1)

    def test_methods_without_damping(self) -> None:
        interpreter = make(logistic_regression(), InfluenceInterpreter.by_name("gradient-dot"))
        message = "gradient-dot has no damping to change"
        with pytest.raises(InterpreterError, match=f"^{message}$"):
            interpreter.scores_by_damping(logistic_regression().queries, [0.1])

    def test_before_fit(self) -> None:
        message = "there is no damping to change yet: call fit() first"
        with pytest.raises(InterpreterError, match=f"^{re.escape(message)}$"):
            make(logistic_regression(), Scaled).change_damping(0.1)

    def test_no_dampings(self) -> None:
        message = "scores_by_damping needs at least one damping, found none"
        with pytest.raises(ValueError, match=f"^{message}$"):
            make(logistic_regression(), Scaled).scores_by_damping(logistic_regression().queries, [])

    def test_a_wrong_one_leaves_the_interpreter_as_it_was(self) -> None:
        problem = logistic_regression()
        interpreter = make(problem, Scaled, damping=0.25)
        before = interpreter.scores(problem.queries)
        with pytest.raises(ValueError, match=r"^damping must be >= 0, found -1\.0$"):
            interpreter.scores_by_damping(problem.queries, [0.5, -1.0])
        assert interpreter.damping_ == 0.25
        np.testing.assert_array_equal(interpreter.scores(problem.queries), before)
