"""What a conformance class says about its method, and how checks make interpreters from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.errors import HessinfError
from hessinf.interpreters import InfluenceInterpreter
from hessinf.testing import references
from hessinf.testing.problems import BY_NAME, Problem
from hessinf.testing.tolerance import Tolerance

DEVICES = ("cpu", pytest.param("cuda", marks=pytest.mark.gpu))

PRECISION_PROBLEMS = (
    "multilayer_perceptron",
    "convolutional_network",
    "transformer",
    "language_model",
)
"""Those with operations of every kind."""


class ConformanceSuite:
    """The part of :class:`~hessinf.testing.InterpreterConformance` that subclasses fill in."""

    name: ClassVar[str]
    """The registered name, or ``package.module:Class``."""

    arguments: ClassVar[Mapping[str, Any]] = {}
    """Constructor arguments, as a config would give them; enough steps to converge."""

    damping: ClassVar[float] = 1e-5
    """λ for the dense references: far below the eigenvalues of the problems."""

    larger_damping: ClassVar[float | None] = 0.5
    """λ beside the eigenvalues, where it counts; None for methods without the argument."""

    further_dampings: ClassVar[tuple[float, ...]] = (1e-6, 1e-3, 1e-1)
    """More of λ to compare at, where the method takes one."""

    curvature: ClassVar[Literal["hessian", "ggn", "identity"] | None] = None
    """What the method inverts; None where :meth:`dense_curvature` or :meth:`reference` says it."""

    tolerance: ClassVar[Tolerance] = Tolerance(relative=1e-8)
    """How near scores come to the dense reference."""

    repeatability: ClassVar[float] = 1e-8
    """The relative difference allowed where the same is computed in other pieces."""

    order_tolerance: ClassVar[Tolerance] = Tolerance(relative=1e-8)
    """How near scores stay when the training data come in another order: 1e-8 unless the method
    draws mini-batches."""

    retraining_correlation: ClassVar[float] = 0.98
    """The smallest Pearson correlation with true retraining of a strictly convex model."""

    retraining_slope: ClassVar[tuple[float, float] | None] = (0.9, 1.1)
    """Between what the slope of true over predicted loss changes lies; None for methods that say
    nothing about scale."""

    callable_objective: ClassVar[bool] = True
    """Whether a loss function will do; else it has to be refused by name."""

    problems: ClassVar[Sequence[str] | None] = None
    """The problems of :mod:`hessinf.testing.problems` that scores are compared on, by the names of
    their functions; None for all that are not refused."""

    refused_problems: ClassVar[Mapping[str, str]] = {}
    """Problems that the method cannot take, and a regular expression for the error that each of
    them raises: a ``HessinfError``, or a ``ValueError`` of the constructor, which commands show as
    an error of the config."""

    lower_precision: ClassVar[Mapping[str, Tolerance | str]] = {
        "float32": Tolerance(relative=1e-3),
        "bfloat16": Tolerance(relative=0.1, spearman=0.97),
    }
    """How near scores of models of lower precision come to those of the same numbers in float64,
    at the larger damping; where the method refuses such models, a regular expression for its
    error."""

    def arguments_for(self, problem: Problem) -> dict[str, Any]:
        """Return the arguments for one problem; for methods whose arguments depend on the model.

        Parameters
        ----------
        problem
            What the interpreter will be made for.
        """
        del problem
        return dict(self.arguments)

    def tolerance_for(self, problem: Problem, damping: float) -> Tolerance:
        """Return how near scores come to the dense reference; for methods that differ in it.

        Parameters
        ----------
        problem
            What the interpreter was made for.
        damping
            λ; zero for methods that take none.
        """
        del problem, damping
        return self.tolerance

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run checks of any problem on each that the method takes."""
        makers = self.compared_problems()
        if "problem_maker" in metafunc.fixturenames:
            metafunc.parametrize("problem_maker", makers, ids=lambda make: make.__name__)
        if "precision_problem_maker" in metafunc.fixturenames:
            few = [make for make in makers if make.__name__ in PRECISION_PROBLEMS]
            metafunc.parametrize("precision_problem_maker", few, ids=lambda make: make.__name__)

    @classmethod
    def compared_problems(cls) -> list[Callable[[], Problem]]:
        """List what makes the problems that scores are compared on."""
        named = BY_NAME if cls.problems is None else cls.problems
        return [BY_NAME[name] for name in named if name not in cls.refused_problems]

    def dense_curvature(self, problem: Problem, frozen: tuple[str, ...] = ()) -> np.ndarray:
        """Return the matrix that the method inverts, before damping.

        Parameters
        ----------
        problem
            Model and data.
        frozen
            The value of ``params_to_freeze``.

        Returns
        -------
        numpy.ndarray
            ``[P, P]``, weight decay included, parameters in the order of ``named_parameters()``.
        """
        if self.curvature == "hessian":
            return references.hessian(problem, frozen)
        if self.curvature == "ggn":
            return references.gauss_newton(problem, frozen)
        if self.curvature == "identity":
            return np.eye(references.gradients(problem, problem.train, frozen).shape[1])
        pytest.fail(
            f'{type(self).__name__} has no reference: set curvature to "hessian", "ggn" or '
            '"identity", or define dense_curvature() or reference()'
        )

    def reference(
        self, problem: Problem, damping: float, frozen: tuple[str, ...] = ()
    ) -> np.ndarray:
        """Return the scores that are right, ``[Q, N]``; from :meth:`dense_curvature` by default.

        Parameters
        ----------
        problem
            Model and data.
        damping
            λ; zero for methods that take none.
        frozen
            The value of ``params_to_freeze``.
        """
        curvature = self.dense_curvature(problem, frozen)
        return references.damped_scores(problem, curvature, damping, frozen)

    # -- what checks use -----------------------------------------------------------------------

    @pytest.fixture(params=DEVICES)
    def device(self, request: pytest.FixtureRequest) -> str:
        """Name a device to compute on; skip where there is none."""
        if request.param == "cuda" and not torch.cuda.is_available():
            pytest.skip("there is no CUDA device")
        return str(request.param)

    @property
    def reference_damping(self) -> float:
        """The λ of :meth:`make`: zero for methods that take none."""
        return 0.0 if self.larger_damping is None else self.damping

    def make(
        self,
        problem: Problem,
        model: nn.Module | None = None,
        train_data: Any = None,
        **changed: Any,
    ) -> InfluenceInterpreter:
        """Make an interpreter as ``by_name`` users do.

        Parameters
        ----------
        problem
            Model, data, objective and weight decay.
        model, train_data
            Instead of the problem's.
        **changed
            Arguments instead of those of the class.
        """
        given = self.given(problem, **changed)
        made: InfluenceInterpreter = InfluenceInterpreter.by_name(self.name)(
            problem.module() if model is None else model,
            problem.train if train_data is None else train_data,
            **given,
        )
        return made

    def refused(self, make: Callable[[], Problem]) -> AbstractContextManager[Any] | None:
        """Return what catches the refusal of a problem; None where the method takes it."""
        text = self.refused_problems.get(make.__name__)
        return None if text is None else pytest.raises((HessinfError, ValueError), match=text)

    def make_damped(self, problem: Problem, **changed: Any) -> InfluenceInterpreter:
        """Make an interpreter with the larger λ, where it takes one: iterations are fewer then."""
        if self.larger_damping is not None:
            changed.setdefault("damping", self.larger_damping)
        return self.make(problem, **changed)

    def given(self, problem: Problem, **changed: Any) -> dict[str, Any]:
        """Collect the keyword arguments of :meth:`make`."""
        given = {
            "objective": problem.objective,
            "weight_decay": problem.weight_decay,
            "seed": 0,
            **self.arguments_for(problem),
        }
        if self.larger_damping is not None:
            given["damping"] = self.damping
        return {**given, **changed}

    def compare(
        self,
        found: np.ndarray,
        problem: Problem,
        damping: float,
        what: str,
        frozen: tuple[str, ...] = (),
    ) -> None:
        """Compare scores with the dense reference, as near as the method claims to come."""
        expected = self.reference(problem, damping, frozen)
        self.tolerance_for(problem, damping).check(found, expected, what)

    def same(self, found: np.ndarray, expected: np.ndarray, what: str) -> None:
        """Compare what has to agree up to rounding."""
        Tolerance(relative=self.repeatability).check(found, expected, what)
