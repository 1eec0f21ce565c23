"""Metrics of curvature matrices: known answers, and what holds for every matrix."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch

from hessinf.evaluation.curvature_metrics import (
    eigenbasis_overlap,
    eigenvalue_overlap,
    frobenius_norm,
    inverse_space_residual,
    inverse_space_residuals,
    off_block_energy_ratio,
    off_block_energy_share,
    random_subspace_overlap,
    relative_residual,
)
from hessinf.evaluation.curvature_spectrum import (
    Spectrum,
    blocks_of_sizes,
    joined,
    spectrum_of,
)
from hessinf.evaluation.dense_analysis import DenseCurvature
from hessinf.evaluation.errors import EvaluationError

SEEDS = range(8)


def symmetric(generator: np.random.Generator, size: int) -> np.ndarray:
    matrix = generator.standard_normal((size, size))
    return (matrix + matrix.T) / 2


def rotation(generator: np.random.Generator, size: int) -> np.ndarray:
    return np.linalg.qr(generator.standard_normal((size, size)))[0]


def pair(seed: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    size = int(generator.integers(3, 15))
    return generator, symmetric(generator, size), symmetric(generator, size)


class TestResiduals:
    def test_known_answers(self):
        target, found = np.diag([3.0, 4.0]), np.diag([3.0, 0.0])
        assert frobenius_norm(target) == 5
        assert frobenius_norm(target, found) == 4
        assert relative_residual(target, found) == 0.8
        assert relative_residual(target, 0 * target) == 1

    def test_of_a_reference_that_is_zero(self):
        assert math.isnan(relative_residual(np.zeros((2, 2)), np.eye(2)))

    def test_in_inverse_space(self):
        target, found = np.diag([0.5, 1.0]), np.diag([0.5, 0.0])
        # (T + I/2)^-1 = diag(1, 2/3), (A + I/2)^-1 = diag(1, 2)
        assert inverse_space_residual(target, found, 0.5) == pytest.approx(
            (4 / 3) / math.hypot(1, 2 / 3), rel=1e-14
        )

    def test_in_inverse_space_where_one_is_singular(self):
        target = np.diag([1.0, -0.5])
        assert math.isnan(inverse_space_residual(target, np.eye(2), 0.5))
        assert math.isnan(inverse_space_residual(np.eye(2), target, 0.5))
        assert not math.isnan(inverse_space_residual(target, np.eye(2), 0.4))

    @pytest.mark.parametrize("seed", SEEDS)
    def test_in_inverse_space_it_is_that_of_the_inverses(self, seed):
        _, target, found = pair(seed)
        eye = np.eye(len(target))
        for damping in (0.3, 20.0):
            expected = relative_residual(
                _symmetrized(np.linalg.inv(target + damping * eye)),
                _symmetrized(np.linalg.inv(found + damping * eye)),
            )
            assert inverse_space_residual(target, found, damping) == pytest.approx(
                expected, rel=1e-9
            )

    def test_flat_directions_count_in_inverse_space_alone(self):
        target, found = np.diag([100.0, 1e-3]), np.diag([100.0, 1e-1])
        assert relative_residual(target, found) < 1e-2
        assert inverse_space_residual(target, found, 1e-4) > 0.98

    def test_nothing_cancels(self):
        """A difference of 1e-12 is seen, where a difference of norms would show nothing of it."""
        generator = np.random.default_rng(0)
        values, basis = np.array([5.0, 1.0, 0.5, 0.1]), rotation(generator, 4)
        spectra = [
            Spectrum(torch.tensor(values + shift), torch.from_numpy(basis)) for shift in (0, 1e-12)
        ]
        expected = np.linalg.norm(1 / (values + 1) - 1 / (values + 1 + 1e-12)) / np.linalg.norm(
            1 / (values + 1)
        )
        (found,) = inverse_space_residuals(*spectra, [1.0])
        assert found == pytest.approx(expected, rel=1e-3)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_of_a_matrix_to_itself(self, seed):
        _, target, _ = pair(seed)
        assert relative_residual(target, target) == 0
        # Eigenvectors are orthogonal up to rounding only.
        assert inverse_space_residual(target, target, 50.0) < 1e-13


class TestRotations:
    """What is said of two matrices does not depend on the basis that both are written in."""

    @pytest.mark.parametrize("seed", SEEDS)
    def test_change_nothing(self, seed):
        generator, target, found = pair(seed)
        turn = rotation(generator, len(target))
        turned = [_symmetrized(turn @ matrix @ turn.T) for matrix in (target, found)]
        k = max(1, len(target) // 2)
        for metric in (
            frobenius_norm,
            relative_residual,
            lambda a, b: inverse_space_residual(a, b, 50.0),
            eigenvalue_overlap,
            lambda a, b: eigenvalue_overlap(a, b, k),
            lambda a, b: eigenbasis_overlap(a, b, k),
        ):
            assert metric(*turned) == pytest.approx(metric(target, found), rel=1e-8)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_scale_changes_no_relative_number(self, seed):
        _, target, found = pair(seed)
        scaled = 7 * target, 7 * found
        assert relative_residual(*scaled) == pytest.approx(relative_residual(target, found))
        assert eigenvalue_overlap(*scaled) == pytest.approx(eigenvalue_overlap(target, found))
        assert inverse_space_residual(*scaled, 7.0) == pytest.approx(
            inverse_space_residual(target, found, 1.0), rel=1e-8
        )


class TestOffBlockEnergy:
    def test_ratio_and_share(self):
        matrix = np.array([[1.0, 2.0, 0], [2.0, 3.0, 0], [0, 0, 4.0]])
        blocks = blocks_of_sizes([1, 2])
        assert off_block_energy_ratio(matrix, blocks) == pytest.approx(math.sqrt(8 / 34))
        assert off_block_energy_share(matrix, blocks) == pytest.approx(8 / 34)

    def test_without_anything_between_blocks(self):
        matrix = np.array([[1.0, 2.0, 0], [2.0, 3.0, 0], [0, 0, 4.0]])
        assert off_block_energy_ratio(matrix, blocks_of_sizes([2, 1])) == 0

    def test_of_zero(self):
        assert math.isnan(off_block_energy_ratio(np.zeros((2, 2)), blocks_of_sizes([1, 1])))

    @pytest.mark.parametrize("seed", SEEDS)
    def test_bounds_and_blocks_in_any_order(self, seed):
        generator, matrix, _ = pair(seed)
        order = torch.from_numpy(generator.permutation(len(matrix)))
        blocks = {"one": order[:2], "other": order[2:]}
        ratio = off_block_energy_ratio(matrix, blocks)
        assert 0 <= ratio <= 1
        permuted = matrix[np.ix_(order, order)]
        expected = off_block_energy_ratio(permuted, blocks_of_sizes([2, len(matrix) - 2]))
        assert ratio == pytest.approx(expected, rel=1e-12)

    def test_rows_in_no_block(self):
        message = (
            "2 of 3 rows are in no block or in several; the blocks of a matrix have each row once"
        )
        with pytest.raises(EvaluationError, match=re.escape(message)):
            off_block_energy_ratio(np.eye(3), {"a": slice(0, 2), "b": slice(1, 2)})


class TestEigenvalueOverlap:
    def test_known_answers(self):
        target = np.diag([3.0, -4.0])
        assert eigenvalue_overlap(target, np.diag([-4.0, 3.0])) == 1
        assert eigenvalue_overlap(target, np.zeros((2, 2))) == 0
        assert eigenvalue_overlap(target, -3 * np.eye(2)) == pytest.approx(1 - math.hypot(6, 1) / 5)
        assert eigenvalue_overlap(target, 100 * np.eye(2)) < 0
        assert math.isnan(eigenvalue_overlap(np.zeros((2, 2)), target))

    def test_of_the_largest_magnitudes_only(self):
        target, found = np.diag([3.0, -4.0, 0.1]), np.diag([3.0, -4.0, 2.0])
        assert eigenvalue_overlap(target, found, 2) == 1
        assert eigenvalue_overlap(target, found) < 1

    @pytest.mark.parametrize("seed", SEEDS)
    def test_one_for_rotated_matrices(self, seed):
        generator, target, _ = pair(seed)
        turn = rotation(generator, len(target))
        assert eigenvalue_overlap(target, _symmetrized(turn @ target @ turn.T)) == pytest.approx(1)


class TestEigenbasisOverlap:
    def test_known_answers(self):
        target = np.diag([5.0, -4.0, 1.0, 0.5])
        assert eigenbasis_overlap(target, np.diag([2.0, 3.0, 0.0, 0.0]), 2) == 1
        assert eigenbasis_overlap(target, np.diag([0.0, 0.0, 3.0, 2.0]), 2) == 0
        assert eigenbasis_overlap(target, np.diag([9.0, 0.0, 3.0, 2.0]), 2) == 0.5

    def test_signs_of_eigenvalues_make_no_difference(self):
        target = np.diag([5.0, -4.0, 1.0])
        assert eigenbasis_overlap(target, -target, 2) == 1

    @pytest.mark.parametrize("seed", SEEDS)
    def test_bounds(self, seed):
        _, target, found = pair(seed)
        size = len(target)
        for k in range(1, size + 3):
            overlap = eigenbasis_overlap(target, found, k)
            used = min(k, size)
            assert max(0, 2 * used - size) / used - 1e-12 <= overlap <= 1 + 1e-12
            if k >= size:
                assert overlap == pytest.approx(1)
                assert random_subspace_overlap(k, size) == 1

    def test_random_subspaces(self):
        """The baseline is the mean over random matrices."""
        generator = np.random.default_rng(0)
        target = np.diag(np.arange(1.0, 11.0))
        overlaps = []
        for _ in range(400):
            turn = rotation(generator, 10)
            overlaps.append(eigenbasis_overlap(target, _symmetrized(turn @ target @ turn.T), 3))
        assert random_subspace_overlap(3, 10) == 0.3
        error = np.std(overlaps) / 20
        assert abs(np.mean(overlaps) - 0.3) < 4 * error
        assert error < 0.01

    def test_without_eigenvectors(self):
        with pytest.raises(EvaluationError, match=r"k is 0, expected at least 1 eigenvector"):
            eigenbasis_overlap(np.eye(2), np.eye(2), 0)


class TestSpectrum:
    def test_blocks_are_decomposed_by_themselves(self):
        generator = np.random.default_rng(1)
        matrix = np.zeros((7, 7))
        places = {"odd": torch.tensor([1, 3, 5]), "even": torch.tensor([0, 2, 4, 6])}
        for at in places.values():
            matrix[np.ix_(at, at)] = symmetric(generator, len(at))
        found = DenseCurvature(torch.from_numpy(matrix), places).spectrum
        np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(matrix), atol=1e-13)
        rebuilt = (found.eigenvectors * found.eigenvalues) @ found.eigenvectors.T
        np.testing.assert_allclose(rebuilt, matrix, atol=1e-13)
        # An eigenvector lies within one block, which it does not where all are decomposed at once.
        inside = found.eigenvectors[places["odd"]].norm(dim=0)
        assert bool(((inside < 1e-14) | (inside > 1 - 1e-14)).all())

    def test_entries_between_blocks_are_not_lost(self):
        matrix = torch.tensor([[1.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
        found = DenseCurvature(matrix, blocks_of_sizes([1, 1])).spectrum
        np.testing.assert_allclose(found.eigenvalues, [0.5, 1.5])

    def test_joined(self):
        parts = {
            "a": spectrum_of("a", np.diag([3.0, 1.0])),
            "b": spectrum_of("b", np.array([[2.0]])),
        }
        whole = joined(3, parts, {"a": slice(0, 2), "b": slice(2, 3)})
        assert whole.eigenvalues.tolist() == [1, 2, 3]


class TestRefusals:
    def test_not_square(self):
        message = "the reference has shape [2, 3], expected a square matrix [P, P]"
        with pytest.raises(EvaluationError, match=re.escape(message)):
            relative_residual(np.zeros((2, 3)), np.eye(2))

    def test_not_symmetric(self):
        message = (
            "the matrix is not symmetric: entries differ by 1, the largest is 1; average it with "
            "its transpose where that is only rounding"
        )
        with pytest.raises(EvaluationError, match=re.escape(message)):
            frobenius_norm(np.array([[1.0, 1.0], [0.0, 1.0]]))

    def test_not_finite(self):
        with pytest.raises(EvaluationError, match=r"the matrix has entries that are not finite"):
            frobenius_norm(np.array([[float("nan")]]))

    def test_of_different_sizes(self):
        message = (
            "the reference has 2 rows and the approximation 3; they stand for the same parameters "
            "only where both have as many: freeze the same ones"
        )
        with pytest.raises(EvaluationError, match=re.escape(message)):
            eigenvalue_overlap(np.eye(2), np.eye(3))


def _symmetrized(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2
