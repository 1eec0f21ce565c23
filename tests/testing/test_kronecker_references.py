from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hessinf.testing import Problem, kronecker_references, references
from hessinf.testing.layer_problems import deep_linear_network, texts, volumes, words
from hessinf.testing.problems import PROBLEMS, ridge_regression

ALL = (*PROBLEMS, texts, words, volumes, deep_linear_network)


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_the_fisher_is_the_gauss_newton_matrix(make: Callable[[], Problem]) -> None:
    problem = make()
    found = kronecker_references.fisher(problem)
    expected = references.gauss_newton(problem) - problem.weight_decay * np.eye(len(found))
    assert np.linalg.norm(found - expected) <= 1e-12 * np.linalg.norm(expected)


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_sides_multiply_to_whole_gradients(make: Callable[[], Problem]) -> None:
    """The outer products of all uses of a matrix add up to its gradient in every column."""
    problem = make()
    whole = kronecker_references.columns(problem)
    units, covered = kronecker_references.units(problem)
    assert covered
    for unit in units:
        for example, columns in zip(unit.examples, whole, strict=True):
            parts = [
                np.einsum(
                    "rso,si->roi" if sides.rows.ndim == 3 else "so,rsi->roi",
                    sides.rows,
                    sides.columns,
                )
                for sides in example.values()
            ]
            expected = columns[unit.places.flatten()].T.reshape(-1, *unit.places.shape)
            np.testing.assert_allclose(sum(parts), expected, atol=1e-12)


def test_both_are_exact_for_a_linear_model_with_squares() -> None:
    problem = ridge_regression()
    exact = references.gauss_newton(problem)
    for matrix in (kronecker_references.kfac(problem), kronecker_references.ekfac(problem)):
        assert np.linalg.norm(matrix - exact) <= 1e-12 * np.linalg.norm(exact)
