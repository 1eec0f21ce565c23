"""Nyström approximations against full decompositions."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from hessinf.solvers import LowRank, NegativeCurvatureError, SolverError, nystroem


def matrix(eigenvalues: torch.Tensor) -> torch.Tensor:
    size = len(eigenvalues)
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    product = basis * eigenvalues @ basis.T
    return (product + product.T) / 2


def run(given: torch.Tensor, rank: int, oversampling: int = 0, **options: float) -> LowRank:
    return nystroem(
        lambda rows: rows @ given,
        len(given),
        rank=rank,
        oversampling=oversampling,
        vectors_at_once=7,
        generator=torch.Generator().manual_seed(int(options.pop("seed", 1))),
        dtype=given.dtype,
        **options,  # type: ignore[arg-type]
    )


def approximation(found: LowRank) -> torch.Tensor:
    eye = torch.eye(found.eigenvectors.shape[1], dtype=found.eigenvectors.dtype)
    return found.product(eye)


@pytest.mark.parametrize("oversampling", [0, 10])
@pytest.mark.parametrize(
    "eigenvalues",
    [
        torch.logspace(-8, 1, 40, dtype=torch.float64),
        torch.tensor([5.0] * 7 + [1.0] * 13 + [0.0] * 20, dtype=torch.float64),
        torch.zeros(40, dtype=torch.float64),
    ],
    ids=["decaying", "repeated", "zero"],
)
def test_at_full_rank_it_is_the_matrix(eigenvalues: torch.Tensor, oversampling: int) -> None:
    given = matrix(eigenvalues)
    found = run(given, 40, oversampling)
    assert found.complete
    np.testing.assert_allclose(approximation(found), given, atol=1e-12)


def test_a_matrix_of_low_rank_is_found_whole() -> None:
    eigenvalues = torch.zeros(90, dtype=torch.float64)
    eigenvalues[:12] = torch.logspace(-5, 2, 12, dtype=torch.float64)
    given = matrix(eigenvalues)
    np.testing.assert_allclose(approximation(run(given, 12, 3)), given, atol=1e-10)


def test_the_error_decreases_with_rank_and_nears_the_best() -> None:
    eigenvalues = torch.logspace(1, -5, 120, dtype=torch.float64)
    given = matrix(eigenvalues)
    errors = []
    for rank in (5, 10, 20, 40, 80):
        found = run(given, rank, 10)
        error = float(torch.linalg.matrix_norm(given - approximation(found), 2))
        assert error <= 10 * float(eigenvalues[rank])  # which is the best there is
        errors.append(error)
    print(f"errors by rank: {errors}")
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("rank", [4, 15])
def test_it_never_exceeds_the_matrix(rank: int) -> None:
    given = matrix(torch.logspace(1, -3, 50, dtype=torch.float64))
    left = torch.linalg.eigvalsh(given - approximation(run(given, rank)))
    assert float(left[0]) > -1e-12


def test_eigenvectors_are_orthonormal_and_eigenvalues_sorted() -> None:
    found = run(matrix(torch.logspace(1, -3, 50, dtype=torch.float64)), 9, 5)
    vectors = found.eigenvectors
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(9), atol=1e-12)
    assert found.eigenvalues.tolist() == sorted(found.eigenvalues.tolist(), reverse=True)
    assert bool((found.eigenvalues >= 0).all())


@pytest.mark.parametrize(("rank", "smallest"), [(40, -0.3), (10, None)])
def test_an_indefinite_matrix_is_refused(rank: int, smallest: float | None) -> None:
    eigenvalues = torch.linspace(-0.3, 2 if rank == 40 else 0.1, 40, dtype=torch.float64)
    message = (
        "the curvature is not positive semidefinite: on the random vectors of the Nyström "
        "approximation it has eigenvalues down to -"
    )
    with pytest.raises(NegativeCurvatureError, match=f"^{re.escape(message)}0") as caught:
        run(matrix(eigenvalues), rank)
    assert -0.3 - 1e-12 <= caught.value.quotient < 0
    assert smallest is None or caught.value.quotient == pytest.approx(smallest)


def test_float32() -> None:
    eigenvalues = torch.logspace(1, -3, 60, dtype=torch.float64)
    given = matrix(eigenvalues)
    found = run(given.float(), 10, 10)
    assert found.eigenvectors.dtype == torch.float32
    assert found.eigenvalues.dtype == torch.float64
    error = float(torch.linalg.matrix_norm(given - approximation(found).double(), 2))
    assert error <= 3 * float(eigenvalues[10])


def test_the_same_seed_gives_the_same_bytes() -> None:
    given = matrix(torch.linspace(0, 1, 30, dtype=torch.float64))
    one, same, other = (run(given, 5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.eigenvectors, same.eigenvectors)
    assert not torch.equal(one.eigenvectors, other.eigenvectors)


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(SolverError, match=r"^Nyström: a product with the curvature is not finite;"):
        run(torch.full((3, 3), torch.nan, dtype=torch.float64), 2)
