"""Predicted loss changes beside models that were trained again without every training example.

All queries and training examples are pooled; retraining is that of
:mod:`hessinf.testing.leave_one_out`, closed forms and Newton's method in numpy.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

from hessinf.interpreters import InfluenceInterpreter
from hessinf.testing import leave_one_out
from hessinf.testing.leave_one_out import LeaveOneOut, Line, line_through

WHOLE = ("exact", "ggn")
"""Methods whose curvature is that of a linear model, to the last digit."""

ONE_LAYER = (*WHOLE, "block-ggn", "block-hessian")
"""Also those that are so where there is one layer."""

EVERY = (*ONE_LAYER, "kfac", "ekfac")

logistic = functools.cache(leave_one_out.logistic_on_breast_cancer)
ridge = functools.cache(leave_one_out.ridge_on_diabetes)
softmax = functools.cache(leave_one_out.softmax_on_wine)


def lines(name: str, problem: LeaveOneOut) -> tuple[Line, Line]:
    """The first order and the refined loss changes beside the true ones."""
    interpreter = InfluenceInterpreter.by_name(name)(
        problem.module,
        problem.train,
        objective=problem.objective,
        weight_decay=problem.weight_decay,
        damping=0.0,
    )
    first = line_through(interpreter.loss_changes(problem.queries), problem.true_changes)
    changes = interpreter.loss_changes(problem.queries, refinement="newton-step")
    refined = line_through(changes, problem.true_changes)
    print(f"{problem.name}, weight decay {problem.weight_decay}, {name}:\n  {first}\n  {refined}")
    return first, refined


class TestRidgeRegression:
    """Diabetes, N = 300. One Newton step is all of it: the refined changes are the true ones."""

    @pytest.mark.parametrize("seed", [0, 1, 2])
    @pytest.mark.parametrize("weight_decay", [0.1, 0.02])
    def test_exact_methods(self, weight_decay: float, seed: int) -> None:
        problem = ridge(weight_decay, seed=seed)
        for name in ONE_LAYER:
            self.check(*lines(name, problem))

    @pytest.mark.parametrize("name", EVERY)
    def test_every_method(self, name: str) -> None:
        """The loss has the same second derivative everywhere: K-FAC's factors are exact."""
        self.check(*lines(name, ridge(0.1, seed=0)))

    def check(self, first: Line, refined: Line) -> None:
        assert first.pearson**2 >= 0.998
        assert abs(first.slope - 1) <= 0.05
        assert refined.determination >= 1 - 1e-12
        assert abs(refined.slope - 1) <= 1e-6

    @pytest.mark.parametrize("bias", [True, False])
    def test_values_are_true_not_only_in_line(self, bias: bool) -> None:
        problem = ridge(0.05, seed=3, train_size=60, bias=bias)
        interpreter = InfluenceInterpreter.by_name("exact")(
            problem.module,
            problem.train,
            objective="mean-squared-error",
            weight_decay=0.05,
            damping=0.0,
        )
        found = interpreter.loss_changes(problem.queries, refinement="newton-step")
        scale = abs(problem.true_changes).max()
        np.testing.assert_allclose(found, problem.true_changes, atol=1e-9 * scale)


class TestLogisticRegression:
    """Breast-cancer, N = 300, standardized."""

    @pytest.mark.parametrize("name", ONE_LAYER)
    def test_strong_penalty(self, name: str) -> None:
        first, refined = lines(name, logistic(0.1, seed=2))
        assert first.pearson >= 0.99
        assert refined.pearson >= 0.9995
        assert abs(refined.slope - 1) <= 0.01
        assert abs(refined.intercept) <= 1e-5

    @pytest.mark.parametrize("name", ONE_LAYER)
    def test_weak_penalty(self, name: str) -> None:
        first, refined = lines(name, logistic(0.02, seed=1))
        assert first.pearson <= 0.98
        assert first.slope >= 1.2
        assert refined.pearson >= 0.999
        assert abs(refined.slope - 1) <= 0.02

    @pytest.mark.parametrize("seed", [0, 1, 4, 5])
    @pytest.mark.parametrize("weight_decay", [0.1, 0.02])
    @pytest.mark.parametrize("bias", [True, False])
    def test_other_splits(self, weight_decay: float, seed: int, bias: bool) -> None:
        first, refined = lines("ggn", logistic(weight_decay, seed=seed, bias=bias))
        assert refined.pearson >= (0.9995 if weight_decay == 0.1 else 0.999)
        assert abs(refined.slope - 1) <= (0.01 if weight_decay == 0.1 else 0.02)
        assert abs(refined.slope - 1) < abs(first.slope - 1) / 4
        assert 1 - refined.pearson < (1 - first.pearson) / 10

    @pytest.mark.parametrize("name", ["kfac", "ekfac"])
    def test_kronecker_factors_come_nearer(self, name: str) -> None:
        """Not exact here, where inputs and slopes depend on each other, but better with it."""
        first, refined = lines(name, logistic(0.1, seed=2))
        assert refined.pearson > first.pearson


class TestSoftmaxRegression:
    """Wine, N = 110, three classes."""

    @pytest.mark.parametrize("seed", [0, 1, 2])
    @pytest.mark.parametrize("name", ONE_LAYER)
    def test_one_layer(self, name: str, seed: int) -> None:
        first, refined = lines(name, softmax(0.02, seed=seed))
        assert first.slope > 1.3
        assert refined.pearson >= 0.999
        assert abs(refined.slope - 1) <= 0.02
        assert abs(refined.intercept) <= 1e-4
