"""Inverses from a Gram matrix, against the dense matrix itself."""

from __future__ import annotations

import re
from typing import Any, cast

import numpy as np
import pytest
import torch

from hessinf.curvature import (
    CurvatureError,
    EigenInversion,
    ExactInversion,
    Inversion,
    PseudoInversion,
)
from hessinf.curvature.dual import DualInverse
from hessinf.curvature.dual_rows import DualRows

SIZE = 9


class Given:
    """Rows that are written down."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows

    def project(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors @ self.rows.T

    def combine(self, weights: torch.Tensor) -> torch.Tensor:
        return weights @ self.rows


def drawn(count: int, scales: list[float] | None = None) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    rows = torch.randn(count, SIZE, generator=generator, dtype=torch.float64)
    return rows if scales is None else rows * torch.tensor(scales).double()[:, None]


ROWS = {
    "fewer than parameters": drawn(4),
    "one": drawn(1),
    "of rank 3": torch.cat([drawn(3), drawn(3)[:2] * 2, drawn(3).sum(0, keepdim=True)]),
    "very different": drawn(4, [5.0, 1.0, 1e-3, 1e-7]),
    "as many as parameters": drawn(9),
    "more than parameters": drawn(14),
}

INVERSIONS: list[Inversion] = [
    ExactInversion(),
    PseudoInversion(),
    PseudoInversion(threshold=0.02),
    EigenInversion(),
    EigenInversion(0.3),
    EigenInversion(0.02, kind="relative", small="drop"),
]


def inverse_of(rows: torch.Tensor, inversion: Inversion, weight_decay: float) -> DualInverse:
    return DualInverse(inversion, weight_decay=weight_decay, size=SIZE, number=len(rows))


def given(rows: torch.Tensor) -> DualRows:
    return cast("DualRows", Given(rows))


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("inversion", INVERSIONS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize(("weight_decay", "damping"), [(0.0, 1e-1), (0.2, 1e-6), (0.0, 1e-4)])
class TestAgainstTheDenseMatrix:
    def dense(
        self, rows: torch.Tensor, inversion: Inversion, weight_decay: float, damping: float
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        matrix = rows.T @ rows + weight_decay * torch.eye(SIZE).double()
        factors, facts = inversion.factorize(matrix.clone(), damping)
        return inversion.solve(factors, torch.eye(SIZE).double()), facts

    def test_solve(
        self, rows: torch.Tensor, inversion: Inversion, weight_decay: float, damping: float
    ) -> None:
        expected, facts = self.dense(rows, inversion, weight_decay, damping)
        dual = inverse_of(rows, inversion, weight_decay)
        factors, found_facts = dual.factorize(rows @ rows.T, damping)
        found = dual.solve(given(rows), factors, torch.eye(SIZE).double())
        error = float((found - expected).norm() / expected.norm())
        assert error < 1e-8, error
        assert found_facts == facts

    def test_another_damping(
        self, rows: torch.Tensor, inversion: Inversion, weight_decay: float, damping: float
    ) -> None:
        dual = inverse_of(rows, inversion, weight_decay)
        factors, _ = dual.factorize(rows @ rows.T, 3.0)
        redamped, facts = dual.redamp(factors, damping)
        fresh, fresh_facts = dual.factorize(rows @ rows.T, damping)
        eye = torch.eye(SIZE).double()
        expected = dual.solve(given(rows), fresh, eye)
        error = float((dual.solve(given(rows), redamped, eye) - expected).norm() / expected.norm())
        assert error < 1e-10, error
        assert facts == fresh_facts

    def test_half(
        self, rows: torch.Tensor, inversion: Inversion, weight_decay: float, damping: float
    ) -> None:
        dual = inverse_of(rows, inversion, weight_decay)
        factors, _ = dual.factorize(rows @ rows.T, damping)
        eye = torch.eye(SIZE).double()
        half = dual.half_solve(given(rows), dual.half_factors(factors), eye)
        expected = dual.solve(given(rows), factors, eye)
        error = float((half @ half.T - expected).norm() / expected.norm())
        assert error < 1e-8, error


def test_without_a_ridge_the_pseudo_inverse_is_left() -> None:
    rows = drawn(4)
    dual = inverse_of(rows, ExactInversion(), 0.0)
    text = (
        "the Gauss-Newton matrix of 4 rows and 9 parameters is singular, and weight_decay + damping"
        ' is 0; raise damping, or use the inversion "pseudo"'
    )
    with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
        dual.factorize(rows @ rows.T, 0.0)
    pseudo = inverse_of(rows, PseudoInversion(), 0.0)
    factors, facts = pseudo.factorize(rows @ rows.T, 0.0)
    found = pseudo.solve(given(rows), factors, torch.eye(SIZE).double())
    expected = np.linalg.pinv((rows.T @ rows).numpy(), hermitian=True)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-10)
    assert facts == {"rank": 4, "negative_eigenvalues": 0}


def test_a_negative_damping_takes_from_weight_decay() -> None:
    """So the refined loss change shrinks the ridge."""
    rows = drawn(4)
    eye = torch.eye(SIZE).double()
    for inversion in (ExactInversion(), EigenInversion()):
        dual = inverse_of(rows, inversion, 0.5)
        factors, _ = dual.factorize(rows @ rows.T, 0.1)
        redamped, _ = dual.redamp(factors, -0.2)
        expected = torch.linalg.inv(rows.T @ rows + 0.3 * eye)
        found = dual.solve(given(rows), redamped, eye)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_other_inversions_are_refused() -> None:
    class ByLU(Inversion):
        def factorize(self, matrix: torch.Tensor, damping: float) -> Any:
            raise NotImplementedError

        def solve(self, factors: Any, vectors: torch.Tensor) -> torch.Tensor:
            raise NotImplementedError

    text = (
        'the dual form cannot invert by ByLU, which is neither "exact" nor a function of the '
        'eigenvalues; use form "primal"'
    )
    with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
        inverse_of(drawn(4), ByLU(), 0.0)
