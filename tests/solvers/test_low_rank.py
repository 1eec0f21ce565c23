from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from hessinf.solvers import LowRank, SolverError


def low_rank(*eigenvalues: float, size: int = 9) -> LowRank:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(size, len(eigenvalues), generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(drawn)[0].T
    return LowRank(torch.tensor(eigenvalues, dtype=torch.float64), basis)


def dense(found: LowRank) -> np.ndarray:
    vectors = found.eigenvectors.numpy()
    return np.asarray(vectors.T * found.eigenvalues.numpy() @ vectors)


VECTORS = torch.randn(3, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_products() -> None:
    found = low_rank(3.0, 0.5)
    np.testing.assert_allclose(found.product(VECTORS), VECTORS.numpy() @ dense(found), atol=1e-14)
    np.testing.assert_allclose(found.project(VECTORS), VECTORS @ found.eigenvectors.T)


@pytest.mark.parametrize("beside", [0.0, 0.2])
@pytest.mark.parametrize("damping", [1e-3, 0.7])
def test_the_inverse_with_a_complement(damping: float, beside: float) -> None:
    found = low_rank(3.0, 0.5, -1e-4)
    inside = found.eigenvectors.T @ found.eigenvectors
    whole = dense(found) + beside * (np.eye(9) - inside.numpy()) + damping * np.eye(9)
    expected = VECTORS.numpy() @ np.linalg.inv(whole)
    np.testing.assert_allclose(found.power(VECTORS, damping, -1.0, beside), expected, rtol=1e-9)
    half = found.power(VECTORS, damping, -0.5, beside)
    np.testing.assert_allclose(half @ half.T, expected @ VECTORS.numpy().T, rtol=1e-9)


def test_the_inverse_without_one() -> None:
    found = low_rank(3.0, 0.5)
    vectors = found.eigenvectors.numpy()
    inverse = vectors.T / (found.eigenvalues.numpy() + 0.1) @ vectors
    expected = VECTORS.numpy() @ inverse
    np.testing.assert_allclose(found.power(VECTORS, 0.1, -1.0, None), expected, atol=1e-13)


def test_nothing_lies_beside_a_complete_one() -> None:
    found = low_rank(*range(1, 10))
    assert found.complete
    expected = VECTORS.numpy() @ np.linalg.inv(dense(found))
    for beside in (None, 0.0, 5.0):
        np.testing.assert_allclose(found.power(VECTORS, 0.0, -1.0, beside), expected, atol=1e-13)


class TestWhatCannotBeInverted:
    def test_nothing_beside(self) -> None:
        message = (
            "a low rank of 2 for 9 parameters can only be inverted with damping or weight decay "
            "above 0: beside the low rank there is nothing else; raise damping"
        )
        with pytest.raises(SolverError, match=f"^{re.escape(message)}$"):
            low_rank(3.0, 0.5).require_invertible(0.0, 0.0)
        low_rank(3.0, 0.5).require_invertible(0.0, None)
        low_rank(3.0, 0.5).require_invertible(0.0, 0.1)

    @pytest.mark.parametrize("damping", [0.0, 0.25])
    def test_an_eigenvalue_that_damping_cancels(self, damping: float) -> None:
        message = (
            "1 of 2 eigenvalues are zero to working precision with damping and weight decay of "
            f"{damping:g} together; raise damping, or lower rank"
        )
        with pytest.raises(SolverError, match=f"^{re.escape(message)}$"):
            low_rank(3.0, -damping).require_invertible(damping, None)
