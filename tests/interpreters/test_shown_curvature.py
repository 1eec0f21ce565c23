"""Any method's curvature as a matrix, and as an operator."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.shown_curvature import curvature_product, dense_curvature
from hessinf.testing import kronecker_references, references
from hessinf.testing.problem import Problem
from hessinf.testing.problems import (
    convolutional_network,
    logistic_regression,
    multilayer_perceptron,
    regression_network,
)

PROBLEMS = (
    logistic_regression,
    multilayer_perceptron,
    regression_network,
    convolutional_network,
)

SHOWN: dict[str, dict[str, Any]] = {
    "exact": {},
    "ggn": {},
    "block-hessian": {},
    "block-ggn": {"blocks": "parameter"},
    "kfac": {"fisher": "type-2"},
    "ekfac": {"fisher": "empirical"},
    "diagonal": {"fisher": "type-2"},
    "arnoldi": {"rank": 5},
    "nystroem": {"rank": 5, "complement": "damping"},
}


def make(name: str, problem: Problem, **arguments: Any) -> InfluenceInterpreter:
    return InfluenceInterpreter.by_name(name)(
        problem.module(),
        problem.train,
        objective=problem.objective,
        weight_decay=problem.weight_decay,
        **arguments,
    )


def within_blocks(matrix: np.ndarray, interpreter: Any) -> np.ndarray:
    kept = np.zeros_like(matrix)
    for columns in interpreter.block_columns.values():
        places = np.arange(len(matrix))[columns]
        kept[np.ix_(places, places)] = matrix[np.ix_(places, places)]
    return kept


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", SHOWN)
def test_matrix_is_what_products_with_unit_vectors_give(name, problem):
    interpreter = make(name, problem(), **SHOWN[name])
    matrix = dense_curvature(interpreter)
    size = interpreter.model.layout.size
    assert matrix.dtype == torch.float64
    assert matrix.shape == (size, size)
    product = curvature_product(interpreter)(torch.eye(size, dtype=torch.float64))
    torch.testing.assert_close(product, matrix, rtol=1e-9, atol=1e-10 * float(matrix.abs().max()))
    assert torch.equal(matrix, matrix.T)


@pytest.mark.parametrize("problem", PROBLEMS)
class TestAgainstReferences:
    """Written down from the definitions, without the code that is tested."""

    def check(self, found: torch.Tensor, expected: np.ndarray) -> None:
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-10 * scale)

    def test_hessian(self, problem):
        self.check(dense_curvature(make("exact", problem())), references.hessian(problem()))

    def test_gauss_newton(self, problem):
        found = dense_curvature(make("ggn", problem(), form="dual"))
        self.check(found, references.gauss_newton(problem()))

    @pytest.mark.parametrize("blocks", ["layer", "parameter"])
    def test_blocks(self, problem, blocks):
        for name, whole in (
            ("block-hessian", references.hessian(problem())),
            ("block-ggn", references.gauss_newton(problem())),
        ):
            interpreter = make(name, problem(), blocks=blocks)
            self.check(dense_curvature(interpreter), within_blocks(whole, interpreter))

    def test_kronecker(self, problem):
        for name, reference in (
            ("kfac", kronecker_references.kfac),
            ("ekfac", kronecker_references.ekfac),
        ):
            found = dense_curvature(make(name, problem(), fisher="type-2"))
            self.check(found, reference(problem()))

    def test_diagonal(self, problem):
        found = dense_curvature(make("diagonal", problem(), fisher="type-2"))
        self.check(found, np.diag(np.diag(references.gauss_newton(problem()))))


def test_frozen_parameters_are_left_out():
    problem = multilayer_perceptron()
    whole = references.hessian(problem)
    interpreter = make("exact", problem, params_to_freeze=list(problem.frozen))
    kept = [
        place
        for name, where in zip(
            dict(problem.module().named_parameters()),
            np.split(
                np.arange(len(whole)),
                np.cumsum([p.numel() for p in problem.module().parameters()])[:-1],
            ),
            strict=True,
        )
        if name in interpreter.model.parameters
        for place in where
    ]
    found = dense_curvature(interpreter)
    np.testing.assert_allclose(found.numpy(), whole[np.ix_(kept, kept)], atol=1e-12)


def test_what_damping_is_makes_no_difference():
    problem = multilayer_perceptron()
    for name in ("exact", "kfac", "diagonal"):
        one, other = (
            dense_curvature(make(name, problem, damping=damping)) for damping in (1e-3, 1.0)
        )
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["gradient-dot", "simple-influence", "conjugate-gradient"])
def test_methods_without_a_curvature_of_their_own(name):
    interpreter = make(name, logistic_regression())
    message = (
        f"{type(interpreter).__name__} shows no curvature of its own: it uses none, or products "
        'with the Hessian or the Gauss-Newton matrix alone; look at "exact" or "ggn" instead, or '
        "give it a method `multiply_curvature`"
    )
    with pytest.raises(InterpreterError, match=re.escape(message)):
        dense_curvature(interpreter)


def test_several_checkpoints_are_refused(tmp_path):
    problem = logistic_regression()
    weights = tmp_path / "weights.pt"
    torch.save(problem.module().state_dict(), weights)
    interpreter = make("exact", problem, checkpoints=[str(weights)])
    message = (
        "a look at the curvature is of one model, and is not averaged over checkpoints; leave out "
        "one of them"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        dense_curvature(interpreter)
