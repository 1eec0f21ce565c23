"""Conjugate gradients, each right-hand side alone and in a block, against dense solutions."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch

from hessinf.solvers import (
    Solution,
    SolverError,
    block_conjugate_gradient,
    conjugate_gradient,
)

Solve = Callable[..., Solution]

BOTH = pytest.mark.parametrize(
    "solve", [conjugate_gradient, block_conjugate_gradient], ids=["cg", "block"]
)


def matrix(eigenvalues: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """A symmetric matrix with these eigenvalues."""
    size = len(eigenvalues)
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    product = basis * eigenvalues.double() @ basis.T
    return (product + product.T) / 2


def vectors(count: int, size: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, size, generator=generator, dtype=torch.float64)


def run(solve: Solve, given: torch.Tensor, sides: torch.Tensor, **options: object) -> Solution:
    options = {"tolerance": 1e-12, "steps": 500, **options}
    return solve(lambda rows: rows @ given, sides, **options)


def dense(given: torch.Tensor, sides: torch.Tensor) -> np.ndarray:
    return np.linalg.solve(given.numpy(), sides.numpy().T).T


def relative_error(found: torch.Tensor, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found.numpy() - expected) / np.linalg.norm(expected))


@BOTH
@pytest.mark.parametrize("count", [1, 5, 40])
@pytest.mark.parametrize("damping", [1e-6, 1e-3, 1e-1])
def test_the_solution_is_the_dense_one(solve: Solve, count: int, damping: float) -> None:
    given = matrix(torch.linspace(0, 3, 12)) + damping * torch.eye(12, dtype=torch.float64)
    sides = vectors(count, 12)
    found = run(solve, given, sides)
    assert relative_error(found.solutions, dense(given, sides)) <= 1e-8


@BOTH
def test_more_right_hand_sides_than_rows_are_all_solved(solve: Solve) -> None:
    """A bound along the wrong axis leaves all but the first P of them zero."""
    given, sides = matrix(torch.tensor([0.5, 2.0])), vectors(30, 2)
    found = run(solve, given, sides)
    assert bool(found.converged.all())
    expected = dense(given, sides)
    for row in range(30):
        assert relative_error(found.solutions[row], expected[row]) <= 1e-10


@BOTH
def test_a_step_is_one_product_for_all(solve: Solve) -> None:
    given, sides = matrix(torch.linspace(0.1, 3, 30)), vectors(7, 30)
    products: list[int] = []
    announced: list[int] = []

    def product(rows: torch.Tensor) -> torch.Tensor:
        products.append(len(rows))
        return rows @ given

    found = solve(product, sides, tolerance=1e-8, steps=200, on_step=lambda: announced.append(1))
    assert len(products) == int(found.steps.max()) + 1  # and one for the residuals
    assert len(announced) == int(found.steps.max())
    assert max(products) == 7


def test_solved_right_hand_sides_drop_out() -> None:
    given = torch.diag(torch.linspace(1, 50, 50, dtype=torch.float64))
    sides = torch.eye(50, dtype=torch.float64)[:3]  # eigenvectors: solved in one step
    sides[2] = 1.0
    sizes: list[int] = []

    def product(rows: torch.Tensor) -> torch.Tensor:
        sizes.append(len(rows))
        return rows @ given

    found = conjugate_gradient(product, sides, tolerance=1e-10, steps=100)
    assert found.steps[:2].tolist() == [1, 1]
    assert int(found.steps[2]) > 20
    assert sizes == [3, *[1] * (int(found.steps[2]) - 1), 3]


@BOTH
class TestTolerance:
    def test_it_is_that_of_the_residual_itself(self, solve: Solve) -> None:
        """Not of its square, nor of a recursion: computed from the solutions, and just met."""
        given, sides = matrix(torch.logspace(-3, 0, 80)), vectors(4, 80)
        before = None
        for tolerance in (1e-2, 1e-4, 1e-6):
            found = run(solve, given, sides, tolerance=tolerance)
            residuals = found.solutions.numpy() @ given.numpy() - sides.numpy()
            relative = np.linalg.norm(residuals, axis=1) / np.linalg.norm(sides.numpy(), axis=1)
            np.testing.assert_allclose(found.relative_residuals, relative, rtol=1e-6)
            assert bool(found.converged.all())
            assert (relative <= tolerance).all()
            assert (relative > tolerance**2).all()
            assert before is None or bool((found.steps > before).all())
            before = found.steps

    def test_it_does_not_depend_on_the_size_of_right_hand_sides(self, solve: Solve) -> None:
        given, sides = matrix(torch.logspace(-2, 0, 40)), vectors(3, 40)
        scales = torch.tensor([2.0**-40, 1.0, 2.0**30], dtype=torch.float64)[:, None]
        small, plain = (run(solve, given, x, tolerance=1e-5) for x in (scales * sides, sides))
        assert small.steps.tolist() == plain.steps.tolist()
        assert torch.equal(small.solutions, scales * plain.solutions)

    def test_drift_of_the_recursion_is_noticed(self, solve: Solve) -> None:
        """In float32 the recursive residual goes on falling; the true one cannot, and is told."""
        given = matrix(torch.logspace(-4, 0, 60)).float()
        found = run(solve, given, vectors(3, 60).float(), tolerance=1e-7, steps=4000)
        assert not bool(found.converged.all())
        wide = found.solutions.double().numpy() @ given.double().numpy()
        sides = vectors(3, 60).numpy()
        relative = np.linalg.norm(wide - sides, axis=1) / np.linalg.norm(sides, axis=1)
        assert (relative < 1e-2).all()
        np.testing.assert_allclose(found.relative_residuals, relative, rtol=0.5)


@BOTH
class TestSteps:
    def test_stopping_early_is_marked(self, solve: Solve) -> None:
        given, sides = matrix(torch.logspace(-3, 0, 80)), vectors(4, 80)
        found = run(solve, given, sides, steps=5)
        assert found.steps.tolist() == [5] * 4
        assert not bool(found.converged.any())
        residuals = (found.solutions @ given - sides).norm(dim=1) / sides.norm(dim=1)
        torch.testing.assert_close(found.relative_residuals, residuals)

    def test_tolerance_zero_takes_them_all(self, solve: Solve) -> None:
        given, sides = matrix(torch.logspace(-3, 0, 80)), vectors(2, 80)
        found = run(solve, given, sides, steps=9, tolerance=0.0)
        assert found.steps.tolist() == [9, 9]
        assert not bool(found.converged.any())


@BOTH
class TestRightHandSides:
    def test_zero_gives_zero(self, solve: Solve) -> None:
        given, sides = matrix(torch.linspace(0.1, 2, 20)), vectors(4, 20)
        sides[[0, 2]] = 0.0
        found = run(solve, given, sides)
        assert bool((found.solutions[[0, 2]] == 0).all())
        assert found.steps[[0, 2]].tolist() == [0, 0]
        assert found.relative_residuals[[0, 2]].tolist() == [0.0, 0.0]
        assert bool(found.converged.all())
        rest = sides[[1, 3]]
        assert relative_error(found.solutions[[1, 3]], dense(given, rest)) <= 1e-10

    def test_only_zeros(self, solve: Solve) -> None:
        found = run(solve, matrix(torch.ones(4)), torch.zeros(3, 4, dtype=torch.float64))
        assert bool((found.solutions == 0).all())
        assert bool(found.converged.all())

    def test_repeated_and_dependent_ones_do_no_harm(self, solve: Solve) -> None:
        given, sides = matrix(torch.logspace(-2, 1, 40)), vectors(8, 40)
        sides[1] = sides[0]
        sides[2] = -3 * sides[0]
        sides[3] = sides[0] + 1e-9 * sides[4]
        sides[5] = sides[6] + sides[7]
        found = run(solve, given, sides, tolerance=1e-11)
        assert bool(found.converged.all())
        assert relative_error(found.solutions, dense(given, sides)) <= 1e-9

    def test_what_is_not_finite_is_refused(self, solve: Solve) -> None:
        sides = vectors(3, 4)
        sides[1, 2] = torch.nan
        with pytest.raises(SolverError, match=r"^right-hand side 1 of 3 is not finite$"):
            run(solve, matrix(torch.ones(4)), sides)


def test_right_hand_sides_do_not_meet() -> None:
    given, sides = matrix(torch.logspace(-2, 0, 50)), vectors(4, 50)
    together = run(conjugate_gradient, given, sides, steps=12)
    for row in range(4):
        alone = run(conjugate_gradient, given, sides[row : row + 1], steps=12)
        torch.testing.assert_close(
            alone.solutions, together.solutions[row : row + 1], rtol=1e-8, atol=1e-10
        )


def test_a_block_takes_fewer_steps() -> None:
    given, sides = matrix(torch.logspace(-3, 0, 120)), vectors(20, 120)
    steps = {
        solve: int(run(solve, given, sides, tolerance=1e-6).steps.max())
        for solve in (conjugate_gradient, block_conjugate_gradient)
    }
    print(f"20 right-hand sides, condition 1000: steps {list(steps.values())}")
    assert steps[block_conjugate_gradient] < 0.3 * steps[conjugate_gradient]


@BOTH
class TestWithoutPositiveCurvature:
    def test_negative_curvature_is_found(self, solve: Solve) -> None:
        eigenvalues = torch.linspace(0.1, 3, 40)
        eigenvalues[0] = -0.5
        found = run(solve, matrix(eigenvalues), vectors(3, 40))
        assert bool(found.blocked.all())
        assert bool(found.negative.all())
        assert not bool(found.converged.any())
        assert bool((found.smallest_quotients < 0).all())
        assert bool((found.smallest_quotients >= -0.5 - 1e-12).all())

    def test_what_is_given_is_the_best_before(self, solve: Solve) -> None:
        """Never worse than zero, in its residual, and that residual is its own."""
        eigenvalues = torch.logspace(-1, 1, 60)
        eigenvalues[0] = -1e-4
        given, sides = matrix(eigenvalues), vectors(5, 60)
        found = run(solve, given, sides)
        assert bool(found.blocked.all())
        residuals = (found.solutions @ given - sides).norm(dim=1) / sides.norm(dim=1)
        torch.testing.assert_close(found.relative_residuals, residuals)
        assert bool((residuals <= 1 + 1e-12).all())
        assert bool((residuals < 0.9).any())  # something was found before it was met

    def test_a_negative_eigenvalue_that_is_not_met_is_none(self, solve: Solve) -> None:
        given = torch.diag(torch.tensor([-1.0, 1.0, 2.0, 4.0], dtype=torch.float64))
        sides = torch.tensor([[0.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
        found = run(solve, given, sides)
        assert bool(found.converged.all())
        assert not bool(found.blocked.any())
        assert relative_error(found.solutions, dense(given, sides)) <= 1e-12

    def test_a_singular_matrix(self, solve: Solve) -> None:
        eigenvalues = torch.logspace(-1, 0, 30)
        eigenvalues[:10] = 0.0
        given, sides = matrix(eigenvalues), vectors(3, 30)
        found = run(solve, given, sides)
        assert bool(found.blocked.all())
        assert not bool(found.negative.any())
        assert bool((found.relative_residuals <= 1 + 1e-12).all())

    def test_a_singular_matrix_with_solutions(self, solve: Solve) -> None:
        eigenvalues = torch.logspace(-1, 0, 30)
        eigenvalues[:10] = 0.0
        given = matrix(eigenvalues)
        sides = vectors(3, 30) @ given
        found = run(solve, given, sides, tolerance=1e-9)
        assert bool(found.converged.all())
        assert relative_error(found.solutions @ given, sides.numpy()) <= 1e-8

    def test_products_that_are_not_finite(self, solve: Solve) -> None:
        with pytest.raises(SolverError, match=r"a product with the curvature is not finite after"):
            solve(lambda rows: rows * torch.nan, vectors(2, 5), tolerance=1e-6, steps=9)


@BOTH
class TestPreconditioner:
    def test_the_solution_stays_and_the_way_is_shorter(self, solve: Solve) -> None:
        diagonal = torch.logspace(-3, 3, 60, dtype=torch.float64)
        scales = diagonal.sqrt()
        given = scales[:, None] * matrix(torch.linspace(0.5, 2, 60)) * scales
        sides = vectors(4, 60)
        plain = run(solve, given, sides, steps=5000, tolerance=1e-9)
        found = run(solve, given, sides, tolerance=1e-9, precondition=lambda rows: rows / diagonal)
        assert int(found.steps.max()) < 0.25 * int(plain.steps.max())
        assert relative_error(found.solutions, dense(given, sides)) <= 1e-5
        assert bool(found.converged.all())

    def test_the_inverse_itself_needs_one_step(self, solve: Solve) -> None:
        given, sides = matrix(torch.logspace(-3, 0, 40)), vectors(4, 40)
        inverse = torch.linalg.inv(given)
        found = run(solve, given, sides, tolerance=1e-9, precondition=lambda rows: rows @ inverse)
        assert found.steps.tolist() == [1] * 4


def test_a_preconditioner_that_is_not_positive_is_refused() -> None:
    given, sides = matrix(torch.linspace(1, 2, 10)), vectors(2, 10)
    message = "the preconditioner is not positive: rᵀ M⁻¹ r is -1 for a residual r"
    with pytest.raises(SolverError, match=f"^{re.escape(message)}$"):
        run(conjugate_gradient, given, sides, precondition=lambda rows: -rows)
