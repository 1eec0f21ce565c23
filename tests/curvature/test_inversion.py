"""Inverses of damped symmetric matrices, against numpy."""

from __future__ import annotations

import logging
import re
from typing import Any

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


def symmetric(eigenvalues: list[float], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = len(eigenvalues)
    basis = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    matrix = basis @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.T
    return (matrix + matrix.T) / 2


def solve(inversion: Inversion, matrix: torch.Tensor, damping: float) -> tuple[Any, dict[str, Any]]:
    """The inverse as a matrix, and what was said about it."""
    factors, facts = inversion.factorize(matrix.clone(), damping)
    return inversion.solve(factors, torch.eye(len(matrix), dtype=torch.float64)).numpy(), facts


def by_eigenvalues(matrix: torch.Tensor, function: Any) -> np.ndarray:
    eigenvalues, basis = np.linalg.eigh(matrix.numpy())
    return basis @ np.diag([function(value) for value in eigenvalues]) @ basis.T


def test_names() -> None:
    assert isinstance(Inversion.from_config({}), ExactInversion)
    pseudo = Inversion.from_config({"type": "pseudo", "threshold": 0.1})
    assert isinstance(pseudo, PseudoInversion)
    assert pseudo.threshold == 0.1
    assert isinstance(Inversion.from_config("eigen"), EigenInversion)


class TestExact:
    def test_positive_definite(self) -> None:
        matrix = symmetric([0.1, 1.0, 2.0, 5.0])
        found, facts = solve(ExactInversion(), matrix, 0.3)
        expected = np.linalg.inv(matrix.numpy() + 0.3 * np.eye(4))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
        assert facts == {"negative_eigenvalues": 0}

    def test_few_vectors(self) -> None:
        for eigenvalues in ([1.0, 2.0, 3.0], [-1.0, 2.0, 3.0]):
            matrix = symmetric(eigenvalues)
            factors, _ = ExactInversion().factorize(matrix.clone(), 0.0)
            vectors = torch.randn(2, 3, dtype=torch.float64)
            found = ExactInversion().solve(factors, vectors)
            torch.testing.assert_close(found @ matrix, vectors, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("seed", range(12))
    @pytest.mark.parametrize("zeros", [0, 2])
    def test_inertia_of_indefinite_matrices(
        self, seed: int, zeros: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        size = 5 + 3 * seed
        matrix = torch.randn(size, size, generator=generator, dtype=torch.float64)
        matrix = matrix + matrix.T
        matrix[:zeros, :zeros] = 0.0  # zeros on the diagonal, and 2 × 2 pivots
        negative = int((np.linalg.eigvalsh(matrix.numpy()) < 0).sum())
        assert 0 < negative < size
        with caplog.at_level(logging.WARNING):
            found, facts = solve(ExactInversion(), matrix, 0.0)
        assert facts == {"negative_eigenvalues": negative}
        expected = np.linalg.inv(matrix.numpy())
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())
        assert [r.getMessage() for r in caplog.records] == [
            f"the damped curvature is not positive definite: {negative} of {size} eigenvalues are "
            "negative at damping 0, so the parameters are no minimum and scores may mean little; "
            "train longer, raise damping, or use a positive semidefinite curvature such as "
            "Gauss-Newton"
        ]

    def test_a_zero_diagonal(self) -> None:
        found, facts = solve(ExactInversion(), torch.tensor([[0.0, 2.0], [2.0, 0.0]]).double(), 0.0)
        np.testing.assert_allclose(found, [[0, 0.5], [0.5, 0]], atol=1e-15)
        assert facts == {"negative_eigenvalues": 1}

    def test_negative_definite(self) -> None:
        _, facts = solve(ExactInversion(), symmetric([-3.0, -2.0, -1.0]), 0.5)
        assert facts == {"negative_eigenvalues": 3}

    @pytest.mark.parametrize(
        ("matrix", "damping"),
        [
            (torch.zeros(3, 3, dtype=torch.float64), 0.0),
            (symmetric([0.0, 1.0, 2.0]), 0.0),  # to working precision
            (symmetric([-1.0, 0.0, 2.0]), 0.0),
            (torch.ones(3, 3, dtype=torch.float64), 0.0),
            (-torch.eye(3, dtype=torch.float64), 1.0),
        ],
    )
    def test_singular(self, matrix: torch.Tensor, damping: float) -> None:
        with pytest.raises(CurvatureError) as caught:
            ExactInversion().factorize(matrix.clone(), damping)
        assert str(caught.value).startswith(
            f"the damped curvature (3 × 3, damping {damping:g}) is singular to working precision "
            "(pivots from "
        )
        assert str(caught.value).endswith('; raise damping, or use the inversion "pseudo"')

    def test_not_finite(self) -> None:
        matrix = symmetric([1.0, 2.0])
        matrix[0, 1] = torch.nan
        with pytest.raises(CurvatureError, match=re.escape("the curvature (2 × 2) is not finite")):
            ExactInversion().factorize(matrix, 0.0)


class TestPseudo:
    def test_equals_numpy(self) -> None:
        matrix = symmetric([-2.0, 0.0, 0.0, 1e-20, 1.0, 3.0])
        found, facts = solve(PseudoInversion(), matrix, 0.0)
        expected = np.linalg.pinv(matrix.numpy(), hermitian=True)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
        assert facts == {"rank": 3, "negative_eigenvalues": 1}

    def test_threshold_is_a_share_of_the_largest(self) -> None:
        matrix = symmetric([0.05, 0.2, 1.0, 4.0])
        found, facts = solve(PseudoInversion(threshold=0.1), matrix, 0.1)
        expected = by_eigenvalues(matrix, lambda x: 1 / (x + 0.1) if x + 0.1 > 0.41 else 0.0)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
        assert facts["rank"] == 2

    def test_nothing_left(self) -> None:
        with pytest.raises(
            CurvatureError,
            match=r"^the damped curvature is zero: nothing is left to invert; raise damping$",
        ):
            PseudoInversion().factorize(torch.zeros(3, 3, dtype=torch.float64), 0.0)


class TestEigen:
    eigenvalues = (-3.0, -0.1, 0.02, 0.5, 2.0)

    @pytest.mark.parametrize("kind", ["absolute", "relative"])
    @pytest.mark.parametrize("small", ["clamp", "drop"])
    @pytest.mark.parametrize("negative", ["clamp", "flip", "keep"])
    @pytest.mark.parametrize("threshold", [0.07, 0.3])
    def test_every_option(self, kind: Any, small: Any, negative: Any, threshold: float) -> None:
        matrix = symmetric(list(self.eigenvalues))
        mended = {
            x: {"clamp": max(x, 0.0), "flip": abs(x), "keep": x}[negative] for x in self.eigenvalues
        }
        bound = threshold
        if kind == "relative":
            bound *= max(abs(x) for x in mended.values())

        def inverse(x: float) -> float:
            value = mended[min(mended, key=lambda known: abs(known - x))]
            if abs(value) < bound:
                if small == "drop":
                    return 0.0
                value = -bound if value < 0 else bound
            return 1 / (value + 0.01)

        inversion = EigenInversion(threshold, kind, small, negative)
        found, facts = solve(inversion, matrix, 0.01)
        np.testing.assert_allclose(found, by_eigenvalues(matrix, inverse), rtol=1e-11, atol=1e-12)
        below = sum(abs(x) < bound for x in mended.values())
        assert facts["rank"] == (5 - below if small == "drop" else 5)
        assert facts["negative_eigenvalues"] == 2

    def test_zeros(self) -> None:
        text = (
            "2 of 5 eigenvalues are zero to working precision after mending (threshold 0, damping "
            "0); raise one of the two"
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
            EigenInversion().factorize(symmetric(list(self.eigenvalues)), 0.0)

    def test_nothing_left(self) -> None:
        text = (
            "all 5 eigenvalues are below the threshold 9: nothing is left to invert; lower the "
            'threshold, or choose small: "clamp"'
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
            EigenInversion(9.0, small="drop").factorize(symmetric(list(self.eigenvalues)), 0.0)


class TestAnotherDamping:
    """Factors at one λ give those at another, without the matrix."""

    inversions = (
        ExactInversion(),
        PseudoInversion(),
        PseudoInversion(threshold=0.2),
        EigenInversion(),
        EigenInversion(0.3, small="drop", negative="flip"),
    )

    @pytest.mark.parametrize("inversion", inversions)
    @pytest.mark.parametrize("eigenvalues", [[0.2, 1.0, 2.0, 5.0], [-3.0, -0.4, 0.5, 2.0, 4.0]])
    @pytest.mark.parametrize("damping", [1e-6, 0.7, -0.1])
    def test_equals_a_new_factorisation(
        self, inversion: Inversion, eigenvalues: list[float], damping: float
    ) -> None:
        matrix = symmetric(eigenvalues)
        factors, _ = inversion.factorize(matrix.clone(), 0.05)
        before = {name: value.clone() for name, value in factors.items()}
        redamped, facts = inversion.redamp(factors, damping)
        eye = torch.eye(len(matrix), dtype=torch.float64)
        expected, expected_facts = solve(inversion, matrix, damping)
        np.testing.assert_allclose(
            inversion.solve(redamped, eye).numpy(), expected, rtol=1e-12, atol=1e-13
        )
        assert facts == expected_facts
        for name, value in factors.items():
            assert torch.equal(value, before[name]), "the factors at the first λ have changed"

    def test_a_chain_of_them_loses_nothing(self) -> None:
        """The matrix is kept to the bit, whether Cholesky or LDLᵀ has factorised it."""
        matrix = symmetric([-1.0, 0.3, 2.0, 4.0])
        inversion = ExactInversion()
        factors, facts = inversion.factorize(matrix.clone(), 0.0)
        assert facts["negative_eigenvalues"] == 1
        for damping in (2.0, 1e-8, 5.0, 0.0):
            factors, _ = inversion.redamp(factors, damping)
            assert torch.equal(inversion.original(factors), matrix)

    def test_an_inversion_without_it_says_so(self) -> None:
        class Fixed(ExactInversion):
            redamp = Inversion.redamp
            half_solve = Inversion.half_solve

        text = (
            'the inversion "Fixed" does not keep what another damping needs; fit again, or give it '
            "a method `redamp`"
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
            Fixed().redamp({}, 1.0)
        text = (
            'the inversion "Fixed" has no vectors whose inner products are those of the inverse; '
            "give it a method `half_solve`"
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
            Fixed().half_solve({}, torch.eye(2))


class TestHalf:
    """Vectors whose inner products are those of the inverse."""

    @pytest.mark.parametrize(
        "inversion",
        [
            ExactInversion(),
            PseudoInversion(threshold=0.2),
            EigenInversion(0.6, small="drop"),
            EigenInversion(0.6),
        ],
    )
    def test_inner_products(self, inversion: Inversion) -> None:
        matrix = symmetric([0.2, 0.5, 2.0, 5.0])
        factors, _ = inversion.factorize(matrix.clone(), 0.1)
        generator = torch.Generator().manual_seed(0)
        left, right = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
        found = inversion.half_solve(factors, left) @ inversion.half_solve(factors, right).T
        expected = left @ inversion.solve(factors, right).T
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)

    def test_indefinite_matrices_have_none(self) -> None:
        matrix = symmetric([-2.0, -1.0, 3.0])
        exact, _ = ExactInversion().factorize(matrix.clone(), 0.1)
        text = (
            "the damped curvature has negative eigenvalues, so that scores are no inner products; "
            "train longer, raise damping, or use a positive semidefinite curvature such as "
            "Gauss-Newton"
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
            ExactInversion().half_solve(exact, matrix)
        pseudo, _ = PseudoInversion().factorize(matrix.clone(), 0.1)
        text = (
            "2 eigenvalues of the inverse are negative, so that scores are no inner products; "
            "raise damping, use a positive semidefinite curvature such as Gauss-Newton, or the "
            'inversion {"type": "eigen", "negative": "clamp"}'
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
            PseudoInversion().half_solve(pseudo, matrix)


@pytest.mark.parametrize("inversion", [PseudoInversion(0.3), EigenInversion(0.6, small="drop")])
def test_eigenvalues_that_occur_often_are_counted_so(
    inversion: PseudoInversion | EigenInversion,
) -> None:
    several = [-2.0, 0.1, 0.1, 0.1, 3.0, 3.0]
    once = torch.tensor([-2.0, 0.1, 3.0], dtype=torch.float64)
    counts = torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64)
    found, facts = inversion.invert_eigenvalues(once, 0.05, counts)
    every = torch.tensor(several, dtype=torch.float64)
    expected, expected_facts = inversion.invert_eigenvalues(every, 0.05)
    assert facts == expected_facts
    assert found.tolist() == expected[[0, 1, 4]].tolist()
