from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.fisher_diagonal import fit_diagonal
from hessinf.curvature.kronecker_fit import fit_kronecker
from hessinf.data import as_dataset
from hessinf.data.batching import batches
from hessinf.gradients import FunctionalModel
from hessinf.models import as_objective
from hessinf.testing import Problem, references
from hessinf.testing.layer_problems import deep_linear_network, texts, volumes, words
from hessinf.testing.problem import Columns
from hessinf.testing.problems import PROBLEMS, multilayer_perceptron, transformer

ALL: tuple[Callable[[], Problem], ...] = (*PROBLEMS, texts, words, volumes, deep_linear_network)


def fit(
    problem: Problem, batch_size: int = 100, data: Any = None, **arguments: Any
) -> tuple[torch.Tensor, dict[str, Any]]:
    model = FunctionalModel(problem.module())
    dataset = as_dataset(problem.train if data is None else data)
    with model.evaluating():
        return fit_diagonal(
            model,
            as_objective(problem.objective),
            batches(dataset, batch_size),
            **{"fisher": "type-2", **arguments},
        )


def near(found: torch.Tensor, expected: np.ndarray, error: float = 1e-12) -> None:
    assert found.dtype == torch.float64
    assert found.shape == expected.shape
    assert np.linalg.norm(found.numpy() - expected) <= error * np.linalg.norm(expected)


@pytest.fixture(params=ALL, ids=lambda make: make.__name__)
def problem(request: pytest.FixtureRequest) -> Problem:
    made: Problem = request.param()
    return made


class TestType2:
    def test_it_is_the_diagonal_of_the_gauss_newton_matrix(self, problem: Problem) -> None:
        expected = np.diag(references.gauss_newton(problem)) - problem.weight_decay
        found, facts = fit(problem)
        near(found, expected)
        assert facts == {"fisher": "type-2"}

    def test_batches_and_padding_make_no_difference(self, problem: Problem) -> None:
        data = problem.train if problem.lengths is None else problem.instances(problem.train)
        expected = fit(problem)[0].numpy()
        for batch_size in (1, 4):  # the last batch is short
            near(fit(problem, batch_size, data, columns_at_once=5)[0], expected)


class TestEmpirical:
    def test_it_is_the_mean_square_of_the_gradients(self, problem: Problem) -> None:
        gradients = references.gradients(problem, problem.train)
        found, facts = fit(problem, fisher="empirical")
        near(found, (gradients**2).mean(axis=0))
        assert facts == {"fisher": "empirical"}


class TestMonteCarlo:
    def test_it_comes_to_type_2_as_one_over_the_root_of_samples(self) -> None:
        expected = fit(multilayer_perceptron())[0]

        def error(samples: int) -> float:
            found, facts = fit(multilayer_perceptron(), fisher="monte-carlo", samples=samples)
            assert facts["fisher"] == "monte-carlo"
            assert facts["fisher_samples"] == samples
            return float((found - expected).norm() / expected.norm())

        few, many = error(4), error(256)
        assert many < 0.05
        assert 3 < few / many < 24  # 64 times as many samples: 8 times as near

    def test_batches_make_no_difference(self) -> None:
        problem = transformer()
        data = problem.instances(problem.train)
        one, other = (
            fit(problem, size, data, fisher="monte-carlo", samples=3)[0] for size in (100, 4)
        )
        near(one, other.numpy())

    def test_the_spread_is_that_of_kronecker_factors(self) -> None:
        """Over the same targets, of the same gradients; each matrix is a block there too."""
        problem = multilayer_perceptron()
        model = FunctionalModel(problem.module())
        with model.evaluating():
            expected = fit_kronecker(
                model,
                as_objective(problem.objective),
                batches(as_dataset(problem.train), 10),
                fisher="monte-carlo",
                samples=5,
            ).facts
        facts = fit(problem, fisher="monte-carlo", samples=5)[1]
        assert facts == pytest.approx(expected)
        assert facts["fisher_relative_standard_error"] > 0.01


class TestTrouble:
    def test_the_example_that_is_not_finite_is_named(self) -> None:
        problem = multilayer_perceptron()
        inputs = problem.train[0].clone()
        inputs[13, 2] = float("inf")  # its tanh is 1
        message = (
            'the input of "0" is not finite at training example 13; likely causes: NaN or huge '
            "values among its inputs, or a model whose training diverged"
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(message)}$"):
            fit(problem, 10, (inputs, problem.train[1]))

    def test_squares_that_are_not_finite(self) -> None:
        module = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))
        inputs = torch.tensor([[1e30, 0.0], [0.0, 1.0]])
        model = FunctionalModel(module)
        message = (
            "the diagonal of the Fisher is not finite; likely causes: NaN or huge values in the "
            "training data, or a model whose training diverged"
        )
        with (
            model.evaluating(),
            pytest.raises(CurvatureError, match=f"^{re.escape(message)}$"),
        ):
            fit_diagonal(
                model,
                as_objective("cross-entropy"),
                batches(as_dataset((inputs, torch.tensor([0, 1]))), 2),
            )

    def test_a_layer_that_only_later_batches_use(
        self, late_layer: tuple[nn.Module, Columns]
    ) -> None:
        module, columns = late_layer
        data = as_dataset(columns)
        model = FunctionalModel(module)
        with model.evaluating():
            one, other = (
                fit_diagonal(model, as_objective("cross-entropy"), batches(data, size))[0]
                for size in (2, 6)
            )
        assert bool((one > 0).all())
        near(one, other.numpy())
