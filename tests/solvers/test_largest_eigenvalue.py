"""The largest eigenvalue, against a full decomposition."""

from __future__ import annotations

import math

import pytest
import torch

from hessinf.solvers.largest_eigenvalue import largest_eigenvalue


def estimate(matrix: torch.Tensor, seed: int = 0, **options: float) -> float:
    return largest_eigenvalue(
        lambda rows: rows @ matrix,
        len(matrix),
        generator=torch.Generator().manual_seed(seed),
        dtype=matrix.dtype,
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("definite", [True, False])
def test_random_matrices(seed: int, definite: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(60, 60, generator=generator, dtype=torch.float64)
    matrix = matrix @ matrix.T if definite else matrix + matrix.T
    expected = float(torch.linalg.eigvalsh(matrix).abs().max())
    assert 0.95 * expected <= estimate(matrix, seed) <= expected * (1 + 1e-12)
    found = estimate(matrix, seed, steps=60, tolerance=1e-12)
    assert found == pytest.approx(expected, rel=1e-10)


def test_one_eigenvalue_that_stands_out_of_many() -> None:
    # Power iteration seems to stand still at 1: the start has hardly any of the eigenvector.
    diagonal = torch.ones(20_000, dtype=torch.float64)
    diagonal[7] = 10.0
    found = largest_eigenvalue(
        lambda rows: rows * diagonal, 20_000, generator=torch.Generator().manual_seed(0)
    )
    assert found == pytest.approx(10.0, rel=1e-6)


def test_a_negative_one() -> None:
    assert estimate(torch.diag(torch.tensor([1.0, -4.0, 2.0]).double())) == pytest.approx(4.0)


def test_float32() -> None:
    matrix = torch.diag(torch.linspace(0.0, 3.0, 50))
    assert estimate(matrix, steps=50, tolerance=1e-5) == pytest.approx(3.0, rel=1e-4)


def test_small_and_empty_spectra() -> None:
    assert estimate(torch.full((1, 1), 3.0).double()) == pytest.approx(3.0)
    assert estimate(torch.zeros(4, 4).double()) == 0.0
    assert estimate(torch.eye(4).double() * 1e-30) == pytest.approx(1e-30)


def test_not_finite() -> None:
    assert math.isnan(estimate(torch.full((3, 3), torch.nan).double()))


def test_the_same_seed_gives_the_same() -> None:
    matrix = torch.diag(torch.arange(30.0).double())
    assert estimate(matrix, 1) == estimate(matrix, 1)
