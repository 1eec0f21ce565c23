from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from hessinf.curvature.damping import RelativeDamping
from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.kronecker import KroneckerCurvature
from hessinf.curvature.kronecker_blocks import (
    DenseBlock,
    DiagonalBlock,
    EigenBlock,
    KroneckerBlock,
)

WEIGHT_DECAY = 0.02
DAMPINGS = [1e-6, 1e-3, 1e-1]


def positive(size: int, seed: int) -> np.ndarray:
    """A positive definite matrix whose eigenvalues lie between about 0.1 and 4."""
    factor = np.random.default_rng(seed).normal(size=(size, 2 * size))
    return factor @ factor.T / (2 * size)


ROWS, COLUMNS, OTHER = positive(3, 1), positive(4, 2), positive(5, 3)
SQUARES = np.array([0.5, 2.0])
PLACES = np.random.default_rng(4).permutation(3 * 4 + 5 + 2)
PARTS = np.split(PLACES, [12, 17])
"""Where the numbers of the matrix, of the dense block and of the diagonal lie in θ."""


def eigenblocks(diagonal_rows: bool = False) -> list[EigenBlock]:
    row_values, row_basis = np.linalg.eigh(ROWS)
    column_values, column_basis = np.linalg.eigh(COLUMNS)
    other_values, other_basis = np.linalg.eigh(OTHER)
    if diagonal_rows:
        row_values, row_basis = np.diag(ROWS), None
    return [
        KroneckerBlock(
            "layer",
            torch.tensor(PARTS[0]).reshape(3, 4),
            torch.tensor(np.outer(row_values, column_values)),
            None if row_basis is None else torch.tensor(row_basis),
            torch.tensor(column_basis),
            torch.tensor(row_values),
            torch.tensor(column_values),
        ),
        DenseBlock(
            "norm", torch.tensor(PARTS[1]), torch.tensor(other_values), torch.tensor(other_basis)
        ),
        DiagonalBlock("positions", torch.tensor(PARTS[2]), torch.tensor(SQUARES)),
    ]


def curvature(
    diagonal_rows: bool = False, weight_decay: float = WEIGHT_DECAY
) -> KroneckerCurvature:
    return KroneckerCurvature(eigenblocks(diagonal_rows), weight_decay, {"fisher": "type-2"})


def dense(rows: np.ndarray = ROWS, columns: np.ndarray = COLUMNS) -> np.ndarray:
    """The same matrix, put together entry by entry; no weight decay."""
    whole = np.zeros((19, 19))
    for places, block in zip(PARTS, (np.kron(rows, columns), OTHER, np.diag(SQUARES)), strict=True):
        whole[np.ix_(places, places)] = block
    return whole


def vectors(count: int = 7) -> torch.Tensor:
    return torch.randn(count, 19, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def near(found: torch.Tensor, expected: np.ndarray) -> None:
    error = np.linalg.norm(found.numpy() - expected) / np.linalg.norm(expected)
    assert error < 1e-12


class TestSolve:
    @pytest.mark.parametrize("damping", DAMPINGS)
    def test_it_is_the_dense_inverse(self, damping: float) -> None:
        damped = dense() + (WEIGHT_DECAY + damping) * np.eye(19)
        expected = np.linalg.solve(damped, vectors().numpy().T).T
        near(curvature().solve(vectors(), damping), expected)

    def test_rows_may_have_the_unit_vectors_for_a_basis(self) -> None:
        damped = dense(rows=np.diag(np.diag(ROWS))) + (WEIGHT_DECAY + 1e-3) * np.eye(19)
        expected = np.linalg.solve(damped, vectors().numpy().T).T
        near(curvature(diagonal_rows=True).solve(vectors(), 1e-3), expected)

    def test_each_block_may_have_its_own_damping(self) -> None:
        damping = {"layer": 0.1, "norm": 1e-3, "positions": 2.0}
        ridge = np.zeros(19)
        for places, value in zip(PARTS, damping.values(), strict=True):
            ridge[places] = value
        damped = dense() + WEIGHT_DECAY * np.eye(19) + np.diag(ridge)
        expected = np.linalg.solve(damped, vectors().numpy().T).T
        near(curvature().solve(vectors(), damping), expected)

    def test_a_share_of_weight_decay_and_damping(self) -> None:
        damped = dense() + 0.75 * (WEIGHT_DECAY + 1e-2) * np.eye(19)
        expected = np.linalg.solve(damped, vectors().numpy().T).T
        near(curvature().solve(vectors(), 1e-2, ridge_share=0.75), expected)

    @pytest.mark.parametrize("damping", DAMPINGS)
    def test_heuristic_damping_is_added_to_the_factors(self, damping: float) -> None:
        root = np.sqrt(damping + WEIGHT_DECAY)
        pi = np.sqrt((np.trace(COLUMNS) / 4) / (np.trace(ROWS) / 3))
        damped = dense(ROWS + root / pi * np.eye(3), COLUMNS + root * pi * np.eye(4))
        ridge = np.zeros(19)
        ridge[PARTS[1]] = ridge[PARTS[2]] = damping + WEIGHT_DECAY  # no factors: added exactly
        expected = np.linalg.solve(damped + np.diag(ridge), vectors().numpy().T).T
        near(curvature().solve(vectors(), damping, heuristic=True), expected)

    @pytest.mark.parametrize("damping", DAMPINGS)
    def test_corrected_eigenvalues_get_the_same_heuristic_damping(self, damping: float) -> None:
        """What two damped factors have more than the plain ones does not depend on eigenvalues."""
        plain, corrected = curvature(), curvature()
        corrected.blocks[0].eigenvalues = corrected.blocks[0].eigenvalues.square() + 0.1
        for share in (1.0, 0.5):
            (_, damped), (_, of_plain) = (
                one.damped(damping, heuristic=True, ridge_share=share)[0]
                for one in (corrected, plain)
            )
            added = damped - corrected.blocks[0].eigenvalues
            near(added, (of_plain - plain.blocks[0].eigenvalues).numpy())

    def test_a_factor_of_zeros_has_heuristic_damping_too(self) -> None:
        block = KroneckerBlock(
            "unused",
            torch.arange(6).reshape(2, 3),
            torch.zeros(2, 3, dtype=torch.float64),
            None,
            None,
            torch.zeros(2, dtype=torch.float64),
            torch.ones(3, dtype=torch.float64),
        )
        unused = KroneckerCurvature([block], 0.0, {})
        found = unused.solve(torch.ones(1, 6), 0.04, heuristic=True)
        # √λ = 0.2 on both sides: (0 + 0.2)(1 + 0.2).
        near(found, np.full((1, 6), 1 / (0.2 * 1.2)))

    def test_a_singular_block_is_refused(self) -> None:
        blocks = eigenblocks()
        blocks[2].eigenvalues[0] = 0.0
        singular = KroneckerCurvature(blocks, 0.0, {})
        message = (
            'the curvature of the block "positions" is singular to working precision at damping 0 '
            "(eigenvalues from 0 to 2); raise damping"
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(message)}$"):
            singular.solve(vectors(), 0.0)

    def test_single_precision_is_solved_in_double(self) -> None:
        found = curvature().solve(vectors().float(), 1e-3)
        assert found.dtype == torch.float64


class TestHalfSolve:
    @pytest.mark.parametrize("heuristic", [False, True])
    def test_inner_products_are_those_with_the_inverse(self, heuristic: bool) -> None:
        left, right = vectors(7)[:3], vectors(7)[3:]
        embedded = curvature().half_solve(vectors(7), 1e-3, heuristic)
        expected = left @ curvature().solve(right, 1e-3, heuristic).T
        near(embedded[:3] @ embedded[3:].T, expected.numpy())


class TestDamping:
    def test_a_number_is_the_same_everywhere(self) -> None:
        assert curvature().damping(0.3) == 0.3

    def test_relative_damping_is_a_share_of_each_block_s_mean_eigenvalue(self) -> None:
        found = curvature().damping(RelativeDamping(0.1))
        expected = {
            "layer": 0.1 * (np.trace(ROWS) * np.trace(COLUMNS) / 12 + WEIGHT_DECAY),
            "norm": 0.1 * (np.trace(OTHER) / 5 + WEIGHT_DECAY),
            "positions": 0.1 * (1.25 + WEIGHT_DECAY),
        }
        assert isinstance(found, dict)
        assert list(found) == list(expected)
        np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-12)

    def test_a_block_without_curvature_takes_the_mean_over_all(self) -> None:
        blocks = eigenblocks()
        blocks[2].eigenvalues.zero_()
        found = KroneckerCurvature(blocks, 0.0, {}).damping(RelativeDamping(0.1))
        whole = np.trace(ROWS) * np.trace(COLUMNS) + np.trace(OTHER)
        assert isinstance(found, dict)
        np.testing.assert_allclose(found["positions"], 0.1 * whole / 19, rtol=1e-12)

    def test_a_share_of_nothing_is_refused(self) -> None:
        nothing = DiagonalBlock("all", torch.arange(3), torch.zeros(3, dtype=torch.float64))
        with pytest.raises(CurvatureError, match="relative damping needs a positive mean"):
            KroneckerCurvature([nothing], 0.0, {}).damping(RelativeDamping(0.1))


class TestState:
    def test_nothing_is_lost(self) -> None:
        for diagonal_rows in (False, True):
            one = curvature(diagonal_rows)
            other = KroneckerCurvature.from_state(one.state())
            assert torch.equal(one.solve(vectors(), 1e-3), other.solve(vectors(), 1e-3))
            assert torch.equal(
                one.solve(vectors(), 1e-3, heuristic=True),
                other.solve(vectors(), 1e-3, heuristic=True),
            )
            assert (other.facts, other.size) == ({"fisher": "type-2"}, 19)

    def test_the_dense_matrix(self) -> None:
        near(curvature().dense(), dense() + WEIGHT_DECAY * np.eye(19))

    def test_the_share_of_parameters_in_matrices(self) -> None:
        assert curvature().kronecker_share == 12 / 19
