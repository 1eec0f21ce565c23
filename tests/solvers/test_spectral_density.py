"""Spectra by stochastic Lanczos quadrature, beside the exact ones."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch

from hessinf.solvers.errors import SolverError
from hessinf.solvers.spectral_density import (
    SpectralDensity,
    mean_of,
    smoothed_density,
    spectral_density,
)


def random_matrix(seed: int, eigenvalues: np.ndarray) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    basis = np.linalg.qr(generator.standard_normal((len(eigenvalues), len(eigenvalues))))[0]
    return torch.from_numpy((basis * eigenvalues) @ basis.T)


def product_with(matrix: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda rows: rows @ matrix


def density_of(matrix: torch.Tensor, probes: int = 30, steps: int = 40, **more) -> SpectralDensity:
    return spectral_density(
        product_with(matrix),
        len(matrix),
        probes=probes,
        steps=steps,
        generator=torch.Generator().manual_seed(0),
        **more,
    )


SPECTRA = {
    "positive": np.concatenate([np.linspace(0.1, 1, 55), [5, 9, 20, 21, 50.0]]),
    "indefinite": np.concatenate([np.linspace(-0.5, 1, 58), [7.0, 11.0]]),
    "low rank": np.concatenate([np.zeros(54), [-1.0, 1, 2, 3, 4, 5]]),
}


@pytest.mark.parametrize("name", SPECTRA)
class TestEstimates:
    def test_lie_within_their_standard_errors(self, name):
        eigenvalues = SPECTRA[name]
        found = density_of(random_matrix(1, eigenvalues))
        for function in (
            lambda w: w,
            torch.square,
            lambda w: (w < -0.1).double(),
            lambda w: (w.abs() + 1).log(),
        ):
            estimate = found.sum_of(function)
            exact = float(function(torch.from_numpy(eigenvalues)).sum())
            assert abs(estimate.value - exact) <= 4 * estimate.standard_error + 1e-3 * abs(exact)
            assert estimate.standard_error < 0.2 * max(abs(exact), len(eigenvalues))

    def test_ends_of_the_spectrum(self, name):
        eigenvalues = SPECTRA[name]
        found = density_of(random_matrix(2, eigenvalues))
        assert found.largest == pytest.approx(eigenvalues.max(), rel=1e-6)
        assert found.smallest == pytest.approx(eigenvalues.min(), rel=1e-2, abs=1e-2)
        assert found.largest <= eigenvalues.max() + 1e-10
        assert found.smallest >= eigenvalues.min() - 1e-10

    def test_weights(self, name):
        found = density_of(random_matrix(3, SPECTRA[name]))
        assert float(found.weights.min()) >= 0
        np.testing.assert_allclose(found.weights.sum(dim=1), 1, rtol=1e-12)

    def test_density(self, name):
        """That of all eigenvalues with the same smoothing, and an integral of 1."""
        eigenvalues = SPECTRA[name]
        found = density_of(random_matrix(4, eigenvalues), probes=200, steps=60)
        width = float(np.ptp(eigenvalues)) / 20
        places = torch.linspace(
            eigenvalues.min() - 6 * width, eigenvalues.max() + 6 * width, 800, dtype=torch.float64
        )
        exact = smoothed_density(
            torch.from_numpy(eigenvalues), torch.full((60,), 1 / 60).double(), places, width
        )
        estimate = found.density(places, width)
        assert float(torch.trapezoid(estimate, places)) == pytest.approx(1, abs=1e-6)
        assert float(torch.trapezoid((estimate - exact).abs(), places)) < 0.06


def test_all_steps_are_exact_in_the_mean_of_quadratic_forms():
    """With as many steps as eigenvalues, each probe's sum is its own quadratic form."""
    matrix = random_matrix(5, np.array([1.0, 2.0, 5.0, -3.0]))
    found = density_of(matrix, probes=6, steps=10)
    assert found.nodes.shape == (6, 4)
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (6, 4), generator=generator).double() * 2 - 1
    for function in (torch.exp, torch.square, torch.abs):
        values, vectors = torch.linalg.eigh(matrix)
        forms = ((signs @ vectors).square() * function(values)).sum(dim=1)
        assert found.sum_of(function).value == pytest.approx(float(forms.mean()), rel=1e-12)


def test_log_determinant():
    eigenvalues = SPECTRA["positive"]
    found = density_of(random_matrix(6, eigenvalues), probes=100).log_determinant(0.01)
    assert found is not None
    exact = float(np.log(eigenvalues + 0.01).sum())
    assert abs(found.value - exact) <= 4 * found.standard_error
    assert found.standard_error < 3


def test_log_determinant_of_an_indefinite_matrix_does_not_exist():
    found = density_of(random_matrix(7, SPECTRA["indefinite"]))
    assert found.log_determinant(0.1) is None
    assert found.log_determinant(0.6) is not None


def test_counts():
    found = density_of(random_matrix(8, SPECTRA["low rank"]), probes=100)
    estimate = found.count_below(-0.5)
    assert abs(estimate.value - 1) <= 4 * estimate.standard_error
    assert 0 < estimate.standard_error < 0.3


def test_few_vectors_at_a_time_give_the_same():
    matrix = random_matrix(9, SPECTRA["indefinite"])
    whole = density_of(matrix, probes=7)
    parts = density_of(matrix, probes=7, memory_limit=3 * 40 * 60 * 8 / 2**30)
    torch.testing.assert_close(whole.nodes, parts.nodes, rtol=1e-9, atol=1e-12)


def test_a_probe_that_is_an_eigenvector():
    """Its Krylov space has one dimension; those of others go on."""
    found = density_of(3 * torch.eye(6, dtype=torch.float64), probes=2, steps=5)
    assert found.trace().value == pytest.approx(18, rel=1e-14)
    assert found.trace().standard_error == pytest.approx(0, abs=1e-12)
    assert (found.smallest, found.largest) == (pytest.approx(3), pytest.approx(3))


def test_the_coarse_quadrature_is_that_of_half_the_steps():
    matrix = random_matrix(9, SPECTRA["indefinite"])
    fine, half = density_of(matrix, probes=4, steps=21), density_of(matrix, probes=4, steps=10)
    assert fine.coarse is not None
    torch.testing.assert_close(fine.coarse.nodes, half.nodes)
    torch.testing.assert_close(fine.coarse.weights, half.weights)
    assert fine.coarse.trace().value == pytest.approx(fine.trace().value, rel=1e-12)


def test_what_is_not_resolved_shows_in_the_coarse_quadrature():
    """A bulk just above zero, of which few steps do not tell on which side it lies."""
    eigenvalues = np.concatenate([np.full(50, 1e-3), np.full(8, -1e-3), [1.0, 2.0]])
    density = density_of(random_matrix(3, eigenvalues), probes=40, steps=4)
    assert density.coarse is not None
    fine, coarse = (one.count_below(0.0).value for one in (density, density.coarse))
    assert fine == pytest.approx(8, abs=2)
    assert abs(coarse - 8) > 5


def test_steps_are_told():
    counts: list[int] = []
    density_of(random_matrix(0, SPECTRA["positive"]), probes=3, steps=4, on_step=counts.append)
    assert counts == [3, 3, 3, 3]


class TestRefusals:
    def test_one_probe(self):
        message = "a standard error needs at least 2 probes, found 1"
        with pytest.raises(SolverError, match=re.escape(message)):
            density_of(torch.eye(3, dtype=torch.float64), probes=1)

    def test_no_memory(self):
        message = (
            "60 Lanczos vectors of 60 numbers need 0.0 GiB, memory_limit is 1e-06 GiB; take fewer "
            "steps, or raise memory_limit"
        )
        with pytest.raises(SolverError, match=re.escape(message)):
            density_of(random_matrix(0, SPECTRA["positive"]), probes=2, steps=60, memory_limit=1e-6)

    def test_products_that_are_not_finite(self):
        matrix = torch.full((3, 3), float("nan"), dtype=torch.float64)
        message = (
            "Lanczos: product 1 with the curvature is not finite; likely causes: NaN or huge "
            "values in the training data, or a model whose training diverged"
        )
        with pytest.raises(SolverError, match=re.escape(message)):
            density_of(matrix)

    def test_a_width_of_zero(self):
        ones = torch.ones(1, dtype=torch.float64)
        message = "the width of a smoothed density is 0, expected more than 0"
        with pytest.raises(SolverError, match=re.escape(message)):
            smoothed_density(ones, ones, ones, 0)


def test_mean_of():
    found = mean_of(torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64))
    assert found.value == 3
    assert found.standard_error == pytest.approx(np.std([1, 2, 3, 6], ddof=1) / 2)
