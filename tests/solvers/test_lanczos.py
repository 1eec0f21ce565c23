"""Lanczos against full decompositions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hessinf.solvers import RitzPairs, SolverError, lanczos

SPECTRA = {
    "decaying": torch.logspace(-6, 1, 40, dtype=torch.float64),
    "repeated": torch.tensor([5.0] * 7 + [1.0] * 13 + [0.0] * 20, dtype=torch.float64),
    "indefinite": torch.linspace(-1, 2, 40, dtype=torch.float64),
    "identity": torch.full((40,), 3.0, dtype=torch.float64),
    "zero": torch.zeros(40, dtype=torch.float64),
}


def matrix(eigenvalues: torch.Tensor) -> torch.Tensor:
    size = len(eigenvalues)
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    product = basis * eigenvalues @ basis.T
    return (product + product.T) / 2


def run(given: torch.Tensor, seed: int = 1, **options: int) -> tuple[RitzPairs, list[int]]:
    counts: list[int] = []
    found = lanczos(
        lambda rows: rows @ given,
        len(given),
        generator=torch.Generator().manual_seed(seed),
        dtype=given.dtype,
        on_step=counts.append,
        **options,
    )
    return found, counts


def by_size(eigenvalues: torch.Tensor) -> np.ndarray:
    return np.sort(np.abs(eigenvalues.numpy()))[::-1]


@pytest.mark.parametrize("block_size", [1, 4, 7])
@pytest.mark.parametrize("spectrum", SPECTRA)
class TestFullRank:
    """Every direction is reached, also beyond invariant subspaces."""

    def test_it_is_the_matrix(self, spectrum: str, block_size: int) -> None:
        given = matrix(SPECTRA[spectrum])
        found, counts = run(given, rank=40, dimension=40, block_size=block_size)
        low_rank = found.low_rank
        assert low_rank.complete
        vectors = low_rank.eigenvectors
        np.testing.assert_allclose(vectors @ vectors.T, np.eye(40), atol=1e-13)
        again = low_rank.product(torch.eye(40, dtype=torch.float64))
        np.testing.assert_allclose(again, given, atol=1e-12)
        np.testing.assert_allclose(
            low_rank.eigenvalues.abs(), by_size(SPECTRA[spectrum]), atol=1e-12
        )
        assert found.left_out == 0.0
        assert float(found.residuals.max()) < 1e-12
        assert sum(counts) <= 40


@pytest.mark.parametrize("block_size", [1, 4])
def test_directions_without_curvature_cost_no_products(block_size: int) -> None:
    eigenvalues = torch.zeros(80, dtype=torch.float64)
    eigenvalues[:12] = torch.linspace(1, 4, 12, dtype=torch.float64)
    found, counts = run(matrix(eigenvalues), rank=80, dimension=80, block_size=block_size)
    # The twelve, with a share of those without and of rounding, and a block that shows the rest.
    assert sum(counts) <= 12 + 4 * block_size
    assert found.low_rank.complete


@pytest.mark.parametrize("block_size", [1, 3])
class TestPairs:
    def test_the_largest_are_found(self, block_size: int) -> None:
        eigenvalues = torch.logspace(-3, 2, 300, dtype=torch.float64)
        found, counts = run(matrix(eigenvalues), rank=10, dimension=90, block_size=block_size)
        assert sum(counts) == 90
        low_rank = found.low_rank
        np.testing.assert_allclose(low_rank.eigenvalues, by_size(eigenvalues)[:10], rtol=1e-9)
        assert found.left_out == pytest.approx(by_size(eigenvalues)[10], rel=1e-3)

    @pytest.mark.parametrize(("rank", "dimension"), [(5, 8), (8, 8), (3, 20), (7, 7)])
    def test_residuals_are_honest(self, block_size: int, rank: int, dimension: int) -> None:
        given = matrix(torch.linspace(0, 2, 50, dtype=torch.float64))
        found, _ = run(given, rank=rank, dimension=dimension, block_size=block_size)
        vectors, values = found.low_rank.eigenvectors, found.low_rank.eigenvalues
        true = (vectors @ given - values[:, None] * vectors).norm(dim=1)
        assert float(true.max()) > 1e-3  # they are not converged
        # Exact, but for a basis that ends within a block: then from above.
        if dimension % block_size == 0:
            torch.testing.assert_close(found.residuals, true, rtol=1e-8, atol=1e-12)
        assert bool((found.residuals >= true * (1 - 1e-8)).all())
        assert bool((found.residuals <= 3 * true + 1e-12).all())
        assert (found.left_out is None) == (rank == dimension)

    def test_large_negative_ones_count_as_large(self, block_size: int) -> None:
        eigenvalues = torch.linspace(-1, 1, 60, dtype=torch.float64)
        eigenvalues[:2] = torch.tensor([-9.0, -7.0])
        eigenvalues[-1] = 8.0
        found, _ = run(matrix(eigenvalues), rank=3, dimension=40, block_size=block_size)
        np.testing.assert_allclose(found.low_rank.eigenvalues, [-9.0, 8.0, -7.0], rtol=1e-10)


def test_repeated_eigenvalues_are_found_as_often_as_they_occur() -> None:
    eigenvalues = torch.zeros(80, dtype=torch.float64)
    eigenvalues[:6] = 4.0
    found, counts = run(matrix(eigenvalues), rank=6, dimension=20)
    np.testing.assert_allclose(found.low_rank.eigenvalues, [4.0] * 6, rtol=1e-12)
    assert found.left_out == pytest.approx(0.0, abs=1e-12)
    assert sum(counts) < 20  # nothing was left to be found


def test_float32() -> None:
    eigenvalues = torch.logspace(-2, 1, 60, dtype=torch.float64)
    found, _ = run(matrix(eigenvalues).float(), rank=5, dimension=40)
    assert found.low_rank.eigenvectors.dtype == torch.float32
    assert found.low_rank.eigenvalues.dtype == torch.float64
    np.testing.assert_allclose(found.low_rank.eigenvalues, by_size(eigenvalues)[:5], rtol=1e-5)


def test_the_same_seed_gives_the_same_bytes() -> None:
    given = matrix(torch.linspace(0, 1, 30, dtype=torch.float64))
    one, same, other = (run(given, seed, rank=4, dimension=8)[0] for seed in (1, 1, 2))
    assert torch.equal(one.low_rank.eigenvectors, same.low_rank.eigenvectors)
    assert not torch.equal(one.low_rank.eigenvectors, other.low_rank.eigenvectors)


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(SolverError, match=r"^Lanczos: product 1 with the curvature is not finite;"):
        run(torch.full((3, 3), torch.nan, dtype=torch.float64), rank=2, dimension=3)
