"""Preconditioners: positive, right where they are exact, and a shorter way to the same solution."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.curvature import CurvatureError
from hessinf.curvature.fisher_columns import FisherColumns
from hessinf.gradients import CurvatureProducts
from hessinf.interpreters import ConjugateGradient
from hessinf.registry import ConfigError
from hessinf.solvers import JacobiPreconditioner, NystroemPreconditioner, Preconditioner
from hessinf.testing import Problem, logistic_regression, multilayer_perceptron, references

NAMES = ["jacobi", "nystroem", "kfac", "ekfac"]


def cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(outputs, targets, reduction="none")


def operator(
    problem: Problem, curvature: Any = "ggn", objective: Any = None, weight_decay: float = 0.05
) -> CurvatureProducts:
    interpreter = ConjugateGradient(
        problem.module().eval(),
        problem.train,
        objective=objective or problem.objective,
        weight_decay=weight_decay,
        batch_size=10,
    )
    return interpreter.curvature_products(curvature)


def inverse_of(name: Any, products: CurvatureProducts, damping: float = 1e-3) -> np.ndarray:
    """The whole matrix that a preconditioner multiplies with."""
    preconditioner = Preconditioner.from_config(name)
    state = preconditioner.learn(products, 0)
    eye = torch.eye(products.size, dtype=torch.float64)
    return preconditioner.inverse(state, damping)(eye).numpy()


@pytest.mark.parametrize("curvature", ["ggn", "hessian"])
@pytest.mark.parametrize("name", NAMES)
def test_it_is_symmetric_and_positive(name: str, curvature: str) -> None:
    found = inverse_of(name, operator(multilayer_perceptron(), curvature))
    np.testing.assert_allclose(found, found.T, atol=1e-10 * abs(found).max())
    assert np.linalg.eigvalsh(found)[0] > 0


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_the_same_from_the_same_seed(name: str) -> None:
    first, second = (inverse_of(name, operator(multilayer_perceptron())) for _ in range(2))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_vectors_keep_their_precision(name: str) -> None:
    products = operator(multilayer_perceptron())
    preconditioner = Preconditioner.from_config(name)
    inverse = preconditioner.inverse(preconditioner.learn(products, 0), 1e-3)
    assert inverse(torch.ones(2, products.size)).dtype == torch.float32


class TestJacobi:
    def test_the_diagonal_of_the_gauss_newton_matrix(self) -> None:
        problem = multilayer_perceptron()
        diagonal = np.diag(references.gauss_newton(problem)) - problem.weight_decay
        found = inverse_of("jacobi", operator(problem), damping=0.01)
        np.testing.assert_allclose(found, np.diag(1 / (diagonal + 0.05 + 0.01)), rtol=1e-10)

    def test_a_loss_function_is_estimated(self) -> None:
        problem = multilayer_perceptron()
        diagonal = np.diag(references.gauss_newton(problem)) - problem.weight_decay
        products = operator(problem, objective=cross_entropy)
        errors = []
        for samples in (20, 2000):
            preconditioner = JacobiPreconditioner(samples=samples)
            found = preconditioner.learn(products, 0)["diagonal"].numpy()
            assert (found > 0).all()
            errors.append(np.linalg.norm(found - diagonal) / np.linalg.norm(diagonal))
        print(f"diagonal from 20 and 2000 random vectors: relative errors {errors}")
        assert errors[1] < 0.05
        assert errors[1] < 0.3 * errors[0]

    def test_few_samples_of_an_indefinite_hessian_stay_positive(self) -> None:
        """A diagonal estimated from one random vector may have negative entries."""
        problem = multilayer_perceptron()
        products = operator(problem, "hessian", objective=cross_entropy, weight_decay=0.0)
        for samples in (1, 3):
            found = inverse_of({"type": "jacobi", "samples": samples}, products)
            assert (np.diag(found) > 0).all()


class TestNystroem:
    def test_at_full_rank_it_is_the_inverse_but_for_a_factor(self) -> None:
        problem = multilayer_perceptron()
        damped = references.gauss_newton(problem) - problem.weight_decay * np.eye(40)
        expected = np.linalg.inv(damped + (0.05 + 1e-3) * np.eye(40))
        found = inverse_of({"type": "nystroem", "rank": 1000}, operator(problem))
        np.testing.assert_allclose(
            found / np.linalg.norm(found), expected / np.linalg.norm(expected), atol=1e-10
        )


class TestKronecker:
    @pytest.mark.parametrize("name", ["kfac", "ekfac"])
    def test_a_loss_function_is_refused_by_name(self, name: str) -> None:
        with pytest.raises(CurvatureError, match=r"cross_entropy\b.* gives no square root"):
            inverse_of(name, operator(logistic_regression(), objective=cross_entropy))

    @pytest.mark.parametrize("name", ["kfac", "ekfac"])
    def test_factors_that_do_not_fit_are_refused(self, name: str) -> None:
        problem = multilayer_perceptron()
        solver = ConjugateGradient(
            problem.module(),
            problem.train,
            objective=problem.objective,
            preconditioner=name,
            memory_limit=1e-6,
        )
        start = "the Kronecker factors need 0.0 GiB, memory_limit is 1e-06 GiB; "
        end = 'or use what forms no factors: "diagonal" or "simple-influence", "jacobi" as a '
        with pytest.raises(CurvatureError, match=f"^{start}.*{end}preconditioner$"):
            solver.fit()

    def test_columns_go_back_as_many_together_as_vectors(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = FisherColumns.__call__
        together = []

        def watched(self: Any, outputs: torch.Tensor, *rest: Any) -> Iterator[torch.Tensor]:
            for cotangents in original(self, outputs, *rest):
                together.append(len(cotangents) * len(outputs))
                yield cotangents

        monkeypatch.setattr(FisherColumns, "__call__", watched)
        products = operator(multilayer_perceptron())  # two columns an example, batches of 10
        for vectors, numbers in ((1, [10, 10, 10, 10]), (2, [20, 20]), (3, [20, 20])):
            products.vectors_at_once = vectors
            together.clear()
            Preconditioner.by_name("kfac")().learn(products, 0)
            assert together[: len(numbers)] == numbers


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"type": "jacobi", "samples": 0}, "samples   expected int >= 1, found 0 (int)"),
        ({"type": "nystroem", "rank": 0}, "rank   expected int >= 1, found 0 (int)"),
    ],
)
def test_configs_are_checked(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        Preconditioner.from_config(config)


def test_arguments_from_python_are_checked_too() -> None:
    with pytest.raises(ValueError, match=r"^samples must be at least 1, found 0$"):
        JacobiPreconditioner(samples=0)
    with pytest.raises(ValueError, match=r"^rank must be at least 1, found 0$"):
        NystroemPreconditioner(rank=0)
    kfac = Preconditioner.by_name("kfac")
    with pytest.raises(ValueError, match=r"^samples must be at least 1, found 0$"):
        kfac(samples=0)
    message = "fisher must be one of ('auto', 'type-2', 'monte-carlo'), found 'empirical'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kfac(fisher="empirical")
