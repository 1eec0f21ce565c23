"""Estimates of residuals from products with random signs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hessinf.evaluation.operator_analysis import energies_of, ratio_of_norms
from hessinf.solvers.trace import random_signs

SIZE = 60


def spiked(seed: int) -> torch.Tensor:
    """A matrix whose energy is nearly all in two directions, as that of a Hessian is."""
    generator = np.random.default_rng(seed)
    basis = np.linalg.qr(generator.standard_normal((SIZE, SIZE)))[0]
    eigenvalues = np.concatenate([[50.0, -20], generator.standard_normal(SIZE - 2)])
    return torch.from_numpy((basis * eigenvalues) @ basis.T)


def signs(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return random_signs(count, SIZE, generator, torch.float64, "cpu")


def leading(*matrices: torch.Tensor) -> torch.Tensor:
    found = [torch.linalg.eigh(matrix).eigenvectors[:, [0, -1]] for matrix in matrices]
    basis: torch.Tensor = torch.linalg.qr(torch.cat(found, dim=1))[0]
    return basis.T


def energies(matrix: torch.Tensor, basis: torch.Tensor, probes: torch.Tensor) -> torch.Tensor:
    return energies_of(probes @ matrix, basis @ matrix, probes @ basis.T)


def test_energy_without_a_basis_is_that_of_the_images():
    matrix, probes = spiked(0), signs(5)
    found = energies(matrix, torch.zeros(0, SIZE, dtype=torch.float64), probes)
    torch.testing.assert_close(found, (probes @ matrix).square().sum(dim=1))


def test_energy_on_a_whole_basis_is_exact():
    matrix = spiked(0)
    found = energies(matrix, torch.eye(SIZE, dtype=torch.float64), signs(3))
    torch.testing.assert_close(found, matrix.square().sum().expand(3), rtol=1e-12, atol=0)


def test_any_basis_leaves_it_without_bias():
    matrix = spiked(1)
    exact = float(matrix.square().sum())
    for basis in (leading(matrix), leading(spiked(2)), leading(matrix, spiked(3))):
        found = energies(matrix, basis, signs(3000))
        error = float(found.std()) / math.sqrt(3000)
        assert abs(float(found.mean()) - exact) < 4 * error


def test_leading_directions_take_the_variance():
    matrix, probes = spiked(1), signs(400)
    without = energies(matrix, torch.zeros(0, SIZE, dtype=torch.float64), probes)
    found = energies(matrix, leading(matrix), probes)
    assert float(found.std()) < float(without.std()) / 50


@pytest.mark.parametrize("seed", range(6))
def test_ratio_lies_within_its_standard_error(seed):
    target, other = spiked(seed), spiked(seed + 100)
    for share in (1.0, 0.3, 0.01):
        approximation = (1 - share) * target + share * other
        basis, probes = leading(target, approximation), signs(30, seed)
        found = ratio_of_norms(
            energies(target - approximation, basis, probes), energies(target, basis, probes)
        )
        exact = float((target - approximation).norm() / target.norm())
        assert abs(found.value - exact) < 5 * found.standard_error + 1e-12
        assert found.standard_error < 0.05 * exact


def test_ratio_of_the_same():
    own = torch.tensor([3.0, 4.0], dtype=torch.float64)
    found = ratio_of_norms(torch.zeros(2, dtype=torch.float64), own)
    assert (found.value, found.standard_error) == (0, 0)
    found = ratio_of_norms(own, own)
    assert (found.value, found.standard_error) == (1, 0)


def test_ratio_to_nothing():
    zeros = torch.zeros(2, dtype=torch.float64)
    found = ratio_of_norms(zeros, zeros)
    assert math.isnan(found.value)
    assert math.isnan(found.standard_error)
