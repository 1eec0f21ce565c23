"""The references that everything is compared with, compared with each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from hessinf.testing import Problem, logistic_regression, references, transformer
from hessinf.testing.problem import outputs_of, select
from hessinf.testing.problems import PROBLEMS

EVERY = pytest.mark.parametrize("make", PROBLEMS, ids=lambda make: make.__name__)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def mean_gradient(problem: Problem, shift: np.ndarray) -> np.ndarray:
    """The gradient of the mean training loss at θ + shift, over the whole columns: ``[P]``."""
    module = problem.module().eval()
    kept = [value for value in module.parameters() if value.requires_grad]
    parts = torch.from_numpy(shift).split([value.numel() for value in kept])
    with torch.no_grad():
        for value, part in zip(kept, parts, strict=True):
            value += part.reshape(value.shape)
    inputs, targets = problem.train
    loss = problem.losses(outputs_of(module, inputs), targets).mean()
    gradients = torch.autograd.grad(loss, kept)
    return np.concatenate([gradient.numpy().ravel() for gradient in gradients])


@EVERY
def test_gradients_add_up_to_that_of_all_examples(make: Callable[[], Problem]) -> None:
    problem = make()
    zero = np.zeros(references.gradients(problem, problem.train).shape[1])
    found = references.gradients(problem, problem.train).mean(axis=0)
    np.testing.assert_allclose(found, mean_gradient(problem, zero), rtol=1e-8, atol=1e-12)


@EVERY
def test_gradients_of_other_data_are_no_cached_ones(make: Callable[[], Problem]) -> None:
    problem = make()
    places = [2, 0]
    found = references.gradients(problem, select(problem.train, places))
    expected = references.gradients(problem, problem.train)[places]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@EVERY
def test_the_hessian_is_the_slope_of_the_gradient(make: Callable[[], Problem]) -> None:
    """By central differences of fourth order, in two directions."""
    problem = make()
    hessian = references.hessian(problem) - problem.weight_decay * np.eye(
        len(references.hessian(problem))
    )
    for seed in (0, 1):
        direction = np.random.default_rng(seed).standard_normal(len(hessian))
        step = 1e-3 / np.linalg.norm(direction) * direction
        near = mean_gradient(problem, step) - mean_gradient(problem, -step)
        far = mean_gradient(problem, 2 * step) - mean_gradient(problem, -2 * step)
        slope = (8 * near - far) / 12
        assert relative(hessian @ step, slope) < 1e-6


@EVERY
def test_the_gauss_newton_matrix_is_the_hessian_of_the_linearized_model(
    make: Callable[[], Problem],
) -> None:
    """``f(θ₀) + J (θ − θ₀)``, differentiated twice by autograd in random directions."""
    problem = make()
    size = references.gauss_newton(problem).shape[0]
    vectors = np.random.default_rng(0).standard_normal((2, size))
    expected = vectors @ (references.gauss_newton(problem) - problem.weight_decay * np.eye(size))
    found = np.zeros_like(vectors)
    module = problem.module().eval()
    for place, (inputs, targets) in enumerate(problem.examples(problem.train)):
        outputs = outputs_of(module, inputs).detach()
        jacobian = torch.from_numpy(references.linearizations(problem)[place][0])  # [n, P]
        for row, vector in enumerate(vectors):
            theta = torch.zeros(size, dtype=torch.float64, requires_grad=True)
            linear = outputs + (jacobian @ theta).reshape(outputs.shape)
            (slope,) = torch.autograd.grad(
                problem.losses(linear, targets).sum(), theta, create_graph=True
            )
            (product,) = torch.autograd.grad(slope @ torch.from_numpy(vector), theta)
            found[row] += product.numpy() / problem.num_train
    assert relative(found, expected) < 1e-10


@EVERY
def test_jacobians_are_slopes_of_outputs(make: Callable[[], Problem]) -> None:
    """By central differences of fourth order, along one direction."""
    problem = make()
    module = problem.module().eval()
    kept = [value for value in module.parameters() if value.requires_grad]
    generator = torch.Generator().manual_seed(3)
    steps = [1e-3 * torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in kept]
    inputs, _ = next(problem.examples(problem.train))

    def moved(times: int) -> torch.Tensor:
        with torch.no_grad():
            for value, step in zip(kept, steps, strict=True):
                value += times * step
            outputs = outputs_of(module, inputs).flatten()  # [n]
            for value, step in zip(kept, steps, strict=True):
                value -= times * step
        return outputs

    slope = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / 12  # [n]
    flat = torch.cat([step.flatten() for step in steps]).numpy()  # [P]
    assert relative(references.linearizations(problem)[0][0] @ flat, slope.numpy()) < 1e-7


def test_freezing_leaves_rows_and_columns_out() -> None:
    problem = transformer()
    whole = references.parameter_places(problem)
    kept = references.parameter_places(problem, problem.frozen)
    assert [len(entries) for entries in kept.values()] == [len(whole[name]) for name in kept]
    assert np.concatenate(list(kept.values())).tolist() == list(range(sum(map(len, kept.values()))))
    places = np.concatenate([whole[name] for name in kept])
    for matrix in (references.hessian, references.gauss_newton):
        np.testing.assert_array_equal(
            matrix(problem, problem.frozen), matrix(problem)[np.ix_(places, places)]
        )
    np.testing.assert_array_equal(
        references.gradients(problem, problem.queries, problem.frozen),
        references.gradients(problem, problem.queries)[:, places],
    )


def test_weight_decay_stands_on_the_diagonal() -> None:
    problem = logistic_regression()
    total = sum(references.example_gauss_newton(problem, i) for i in range(problem.num_train))
    expected = total / problem.num_train + problem.weight_decay * np.eye(len(total))
    np.testing.assert_allclose(references.gauss_newton(problem), expected, rtol=1e-14, atol=1e-16)


def test_block_diagonal() -> None:
    matrix = np.arange(16.0).reshape(4, 4)
    found = references.block_diagonal(matrix, [np.array([0, 3]), np.array([1, 2])])
    assert found.tolist() == [[0, 0, 0, 3], [0, 5, 6, 0], [0, 9, 10, 0], [12, 0, 0, 15]]


def test_parameter_blocks() -> None:
    problem = transformer()
    by_parameter = references.parameter_blocks(problem)
    assert list(by_parameter) == list(references.parameter_shapes(problem))
    by_layer = references.parameter_blocks(problem, problem.frozen, by="layer")
    assert "layers.layers.1.norm1" not in by_layer
    assert len(by_layer["layers.layers.0.linear1"]) == 4 * 6 + 6
    assert np.sort(np.concatenate(list(by_layer.values()))).tolist() == list(
        range(len(references.hessian(problem, problem.frozen)))
    )
