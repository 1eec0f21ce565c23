"""Every registered method goes through the conformance suite: a class each."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.interpreters import InfluenceInterpreter
from hessinf.testing import (
    InterpreterConformance,
    Problem,
    ScoreConformance,
    Tolerance,
    kronecker_references,
    references,
)
from hessinf.testing.problems import BY_NAME
from hessinf.testing.suite import ConformanceSuite


class TestExact(InterpreterConformance):
    name = "exact"
    curvature = "hessian"
    tolerance = Tolerance(relative=1e-8)


class TestSimpleInfluence(InterpreterConformance):
    """All examples in each step: what is left is the number of steps.

    The error falls with the number of steps times the smallest over the largest eigenvalue, so that
    networks are compared where damping makes that ratio larger too.
    """

    name = "simple-influence"
    arguments: ClassVar = {"lissa_batch_size": 1000, "recursion_depth": {"steps": 100}}
    curvature = "ggn"
    tolerance = Tolerance(relative=1e-10, spearman=0.9999, norm_ratio=1e-10)
    further_dampings = ()
    relative_errors: ClassVar = {  # at small damping, and at 0.5
        "multilayer perceptron": (1e-5, 1e-10),
        "weighted classes": (5e-3, 1e-8),
        "regression network": (0.4, 0.05),
        "convolutional network": (0.05, 1e-7),
        "transformer": (0.8, 0.45),
        "language model": (0.05, 1e-6),
    }

    def tolerance_for(self, problem: Problem, damping: float) -> Tolerance:
        if problem.name not in self.relative_errors:
            return self.tolerance
        return Tolerance(relative=self.relative_errors[problem.name][damping >= 0.5])


class TestSimpleInfluenceMiniBatches(InterpreterConformance):
    """Mini-batches, the last of each epoch short: the noise of the recursion is part of it."""

    name = "simple-influence"
    arguments: ClassVar = {"lissa_batch_size": 16, "recursion_depth": {"steps": 100}}
    curvature = "ggn"
    problems = ("logistic_regression", "ridge_regression", "multilayer_perceptron")
    tolerance = Tolerance(spearman=0.97, norm_ratio=0.05)
    order_tolerance = Tolerance(spearman=0.97, norm_ratio=0.05)


class TestKfac(InterpreterConformance):
    """Beside the dense products of the factors; a loss function gives no Gauss-Newton matrix."""

    name = "kfac"
    arguments: ClassVar = {"fisher": "type-2"}
    tolerance = Tolerance(relative=1e-10)
    callable_objective = False

    def dense_curvature(self, problem: Problem, frozen: tuple[str, ...] = ()) -> np.ndarray:
        return kronecker_references.kfac(problem, frozen)


class TestKfacMonteCarlo(TestKfac):
    """Sampled targets: what is left is their noise. Other places in the data draw other targets."""

    arguments: ClassVar = {"fisher": "monte-carlo", "samples": 16}
    tolerance = Tolerance(spearman=0.9, norm_ratio=0.2)
    order_tolerance = Tolerance(spearman=0.9, norm_ratio=0.2)
    retraining_correlation = 0.96
    retraining_slope = (0.8, 1.2)
    refused_problems: ClassVar = {"weighted_classes": "negative log-likelihood"}

    def tolerance_for(self, problem: Problem, damping: float) -> Tolerance:
        if problem.name == "transformer":  # improbable targets, whose gradients are large, count
            return Tolerance(spearman=0.8)
        return self.tolerance


class TestEkfac(InterpreterConformance):
    """Beside the diagonal of the exact blocks in the basis of the factors."""

    name = "ekfac"
    arguments: ClassVar = {"fisher": "type-2"}
    tolerance = Tolerance(relative=1e-10)
    callable_objective = False

    def dense_curvature(self, problem: Problem, frozen: tuple[str, ...] = ()) -> np.ndarray:
        return kronecker_references.ekfac(problem, frozen)


class TestDiagonal(InterpreterConformance):
    """Without what lies beside the diagonal, scores are too large."""

    name = "diagonal"
    arguments: ClassVar = {"fisher": "type-2"}
    tolerance = Tolerance(relative=1e-10)
    retraining_slope = (0.75, 1.1)
    callable_objective = False

    def dense_curvature(self, problem: Problem, frozen: tuple[str, ...] = ()) -> np.ndarray:
        return np.diag(np.diag(references.gauss_newton(problem, frozen)))


class GaussNewtonClaims(ConformanceSuite):
    """A loss function has no square root of its output Hessian."""

    name = "ggn"
    curvature = "ggn"
    callable_objective = False


class TestGaussNewton(GaussNewtonClaims, InterpreterConformance):
    """In the form that is smaller."""


class TestGaussNewtonPrimal(GaussNewtonClaims, ScoreConformance):
    arguments: ClassVar = {"form": "primal"}


class TestGaussNewtonDual(GaussNewtonClaims, InterpreterConformance):
    """Also where it is the larger form, and its Gram matrix singular."""

    arguments: ClassVar = {"form": "dual"}


class TestGaussNewtonDualByEigenvalues(GaussNewtonClaims, ScoreConformance):
    arguments: ClassVar = {"form": "dual", "inversion": "eigen"}


class BlockHessianClaims(ConformanceSuite):
    """Beside the dense matrix with all entries between blocks set to zero."""

    name = "block-hessian"
    curvature = "hessian"
    by: ClassVar[str] = "layer"

    def dense_curvature(self, problem: Problem, frozen: tuple[str, ...] = ()) -> np.ndarray:
        blocks = references.parameter_blocks(problem, frozen, self.by).values()
        return references.block_diagonal(super().dense_curvature(problem, frozen), blocks)


class TestBlockHessian(BlockHessianClaims, InterpreterConformance):
    """Blocks of a layer each."""


class TestBlockHessianByParameter(BlockHessianClaims, ScoreConformance):
    by = "parameter"
    arguments: ClassVar = {"blocks": "parameter"}


class BlockGaussNewtonClaims(BlockHessianClaims):
    name = "block-ggn"
    curvature = "ggn"
    callable_objective = False


class TestBlockGaussNewton(BlockGaussNewtonClaims, InterpreterConformance):
    """Blocks of a layer each."""


class TestBlockGaussNewtonByParameter(BlockGaussNewtonClaims, ScoreConformance):
    by = "parameter"
    arguments: ClassVar = {"blocks": "parameter"}


class TestConjugateGradient(InterpreterConformance):
    name = "conjugate-gradient"
    arguments: ClassVar = {"tolerance": 1e-12}
    curvature = "ggn"
    tolerance = Tolerance(relative=1e-8)


class TestConjugateGradientHessian(ScoreConformance):
    name = "conjugate-gradient"
    arguments: ClassVar = {"tolerance": 1e-12, "curvature": "hessian"}
    curvature = "hessian"


class TestBlockConjugateGradient(TestConjugateGradient):
    arguments: ClassVar = {"tolerance": 1e-12, "method": "block"}


class TestConjugateGradientPreconditioned(TestConjugateGradient):
    """What the preconditioner has learnt is saved and found again."""

    arguments: ClassVar = {"tolerance": 1e-12, "preconditioner": "ekfac"}
    callable_objective = False


class TestArnoldi(InterpreterConformance):
    """At full rank: the exact inverse."""

    name = "arnoldi"
    arguments: ClassVar = {"rank": 1000}
    curvature = "ggn"
    tolerance = Tolerance(relative=1e-8)


class TestArnoldiHessianDropped(TestArnoldi):
    """Training gradients by their coordinates, vectors multiplied four at a time."""

    arguments: ClassVar = {
        "rank": 1000,
        "complement": "drop",
        "curvature": "hessian",
        "block_size": 4,
    }
    curvature = "hessian"


class TestNystroem(InterpreterConformance):
    """At full rank: the exact inverse."""

    name = "nystroem"
    arguments: ClassVar = {"rank": 1000}
    curvature = "ggn"
    tolerance = Tolerance(relative=1e-8)


class TestGradientDot(InterpreterConformance):
    """Without curvature: in the right direction, as far as the problem curves alike everywhere."""

    name = "gradient-dot"
    curvature = "identity"
    larger_damping = None
    tolerance = Tolerance(relative=1e-10)
    retraining_correlation = 0.9


class TestGradientCosine(InterpreterConformance):
    """Sizes are taken away: less is left of what retraining says."""

    name = "gradient-cosine"
    larger_damping = None
    tolerance = Tolerance(relative=1e-10)
    retraining_correlation = 0.6

    def reference(
        self, problem: Problem, damping: float, frozen: tuple[str, ...] = ()
    ) -> np.ndarray:
        queries = references.gradients(problem, problem.queries, frozen)  # [Q, P]
        train = references.gradients(problem, problem.train, frozen)  # [N, P]
        sizes = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(train, axis=1)
        return np.asarray(queries @ train.T / sizes)


class TestTracIn(InterpreterConformance):
    """Two checkpoints of whichever model is explained: its weights, and half of them."""

    name = "tracin"
    larger_damping = None
    rates: ClassVar[list[float]] = [0.1, 0.3]
    tolerance = Tolerance(relative=1e-10)
    retraining_correlation = 0.85

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def arguments_for(self, problem: Problem) -> dict[str, Any]:
        return {"checkpoints": self.saved(problem.module()), "learning_rates": self.rates}

    def make(
        self,
        problem: Problem,
        model: nn.Module | None = None,
        train_data: Any = None,
        **changed: Any,
    ) -> InfluenceInterpreter:
        if model is not None:
            changed.setdefault("checkpoints", self.saved(model))
        return super().make(problem, model, train_data, **changed)

    def saved(self, module: nn.Module) -> list[str]:
        paths = []
        for factor in (1.0, 0.5):
            path = self.folder / f"{len(list(self.folder.iterdir()))}.pt"
            torch.save(_scaled(module, factor).state_dict(), path)
            paths.append(str(path))
        return paths

    def reference(
        self, problem: Problem, damping: float, frozen: tuple[str, ...] = ()
    ) -> np.ndarray:
        total = np.zeros(())
        for rate, factor in zip(self.rates, (1.0, 0.5), strict=True):
            there = replace(problem, trained=_scaled(problem.trained, factor))
            queries = references.gradients(there, problem.queries, frozen)  # [Q, P]
            total = total + rate * queries @ references.gradients(there, problem.train, frozen).T
        return total


def _scaled(module: nn.Module, factor: float) -> nn.Module:
    scaled = copy.deepcopy(module)
    with torch.no_grad():
        for value in scaled.parameters():
            value.mul_(factor)
    return scaled


def conforming(cls: type[InterpreterConformance] = InterpreterConformance) -> Iterator[type]:
    """All subclasses of the suite that this process knows."""
    for subclass in cls.__subclasses__():
        yield subclass
        yield from conforming(subclass)


def names_without_suite(names: Iterable[str], suites: Iterable[type]) -> list[str]:
    covered = {getattr(suite, "name", None) for suite in suites}
    return sorted(set(names) - covered)


def test_every_registered_name_has_a_suite() -> None:
    own = [
        name
        for name in InfluenceInterpreter.list_available()
        if InfluenceInterpreter.by_name(name).__module__.startswith("hessinf.interpreters")
    ]
    assert {"exact", "simple-influence"} <= set(own)
    here = [suite for suite in conforming() if suite.__module__ == __name__]
    missing = names_without_suite(own, here)
    assert missing == [], f"write a subclass of InterpreterConformance here for: {missing}"


def test_every_problem_is_compared_or_refused() -> None:
    """A suite may leave problems to another one of the same name, but not to nobody."""
    known = set(BY_NAME)
    seen: dict[str, set[str]] = {}
    for suite in conforming():
        if suite.__module__ == __name__:
            taken = {make.__name__ for make in suite.compared_problems()}
            seen.setdefault(suite.name, set()).update(taken, suite.refused_problems)
    assert {name: known - taken for name, taken in seen.items() if known - taken} == {}


def test_a_name_without_a_suite_is_noticed() -> None:
    assert names_without_suite(["exact", "kfac"], [TestExact]) == ["kfac"]


@pytest.mark.parametrize("wrong", [{}, {"relative": None}])
def test_a_tolerance_asks_for_something(wrong: dict[str, None]) -> None:
    with pytest.raises(ValueError, match="at least one of relative, spearman and norm_ratio"):
        Tolerance(**wrong)
