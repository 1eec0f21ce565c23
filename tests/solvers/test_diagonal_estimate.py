"""A diagonal from products with random signs."""

from __future__ import annotations

import re

import pytest
import torch

from hessinf.solvers.diagonal_estimate import DiagonalEstimate, estimate_diagonal
from hessinf.solvers.errors import SolverError


def estimate(matrix: torch.Tensor, samples: int, **more: int) -> DiagonalEstimate:
    return estimate_diagonal(
        lambda rows: rows @ matrix,
        len(matrix),
        samples=samples,
        generator=torch.Generator().manual_seed(0),
        **more,
    )


def random_symmetric(size: int) -> torch.Tensor:
    matrix = torch.randn(size, size, generator=torch.Generator().manual_seed(1)).double()
    return matrix + matrix.T


def test_of_a_diagonal_matrix_it_is_exact():
    diagonal = torch.tensor([3.0, -1.0, 0.5], dtype=torch.float64)
    found = estimate(torch.diag(diagonal), 2)
    assert torch.equal(found.diagonal, diagonal)
    assert torch.equal(found.standard_errors, torch.zeros(3, dtype=torch.float64))


def test_standard_errors_are_right():
    """Of 60 entries some are further off than one standard error, none than five."""
    matrix = random_symmetric(60)
    found = estimate(matrix, 500)
    scaled = (found.diagonal - matrix.diagonal()).abs() / found.standard_errors
    assert float(scaled.max()) < 5
    assert 0.5 < float(scaled.square().mean()) < 2


def test_the_variance_is_that_of_the_rest_of_the_row():
    matrix = random_symmetric(20)
    found = estimate(matrix, 4000)
    rest = matrix.square().sum(dim=1) - matrix.diagonal().square()
    torch.testing.assert_close(found.standard_errors, (rest / 4000).sqrt(), rtol=0.1, atol=0.0)


def test_how_many_go_together_makes_no_difference():
    matrix = random_symmetric(5)
    torch.testing.assert_close(
        estimate(matrix, 11, at_once=3).diagonal, estimate(matrix, 11, at_once=4).diagonal
    )


def test_one_sample_is_refused():
    message = "a standard error needs at least 2 samples, found 1"
    with pytest.raises(SolverError, match=re.escape(message)):
        estimate(torch.eye(2, dtype=torch.float64), 1)


def test_what_is_not_finite_is_refused():
    message = (
        "a product of the diagonal's estimate is not finite; likely causes: NaN or huge values in "
        "the training data, or a model whose training diverged"
    )
    with pytest.raises(SolverError, match=re.escape(message)):
        estimate(torch.full((2, 2), float("inf"), dtype=torch.float64), 2)
