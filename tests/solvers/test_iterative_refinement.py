"""Refinement with solvers that are sloppy on purpose."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from hessinf.solvers.iterative_refinement import Run, Solution, refine

MATRIX = torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))
SIDES = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [5.0, -1.0, 2.0]], dtype=torch.float64)


class Sloppy:
    """Leaves a share of each residual, and takes some steps for it."""

    def __init__(self, share: float, steps: int = 3) -> None:
        self.share, self.steps = share, steps
        self.calls: list[tuple[int, list[int]]] = []

    def __call__(self, vectors: torch.Tensor, limits: torch.Tensor, target: float) -> Run:
        assert 0 < target < 1e-9
        self.calls.append((len(vectors), limits.tolist()))
        solutions = (1 - self.share) * torch.linalg.solve(MATRIX, vectors.T).T
        taken = limits.clamp(max=self.steps)
        return dataclasses.replace(Run.started(vectors), solutions=solutions, steps=taken)


def run(recursion: Sloppy, steps: int = 100) -> Solution:
    return refine(recursion, lambda rows: rows @ MATRIX, SIDES, tolerance=1e-9, steps=steps)


def test_it_starts_again_until_the_residual_itself_is_small() -> None:
    recursion = Sloppy(1e-4)
    found = run(recursion)
    assert recursion.calls == [(2, [100, 100]), (2, [97, 97]), (2, [94, 94])]  # 1e-12 is left
    assert found.steps.tolist() == [9, 0, 9]
    assert bool(found.converged.all())
    torch.testing.assert_close(found.solutions @ MATRIX, SIDES, rtol=1e-10, atol=1e-10)


def test_it_stops_where_nothing_is_gained() -> None:
    recursion = Sloppy(0.6)
    found = run(recursion)
    assert len(recursion.calls) == 1
    assert found.converged.tolist() == [False, True, False]
    torch.testing.assert_close(
        found.relative_residuals, torch.tensor([0.6, 0.0, 0.6], dtype=torch.float64)
    )


def test_a_later_run_never_makes_it_worse() -> None:
    recursion = Sloppy(1e-3)

    def spoilt(vectors: torch.Tensor, limits: torch.Tensor, target: float) -> Run:
        found = recursion(vectors, limits, target)
        return (
            dataclasses.replace(found, solutions=100 * vectors)
            if len(recursion.calls) > 1
            else found
        )

    found = refine(spoilt, lambda rows: rows @ MATRIX, SIDES, tolerance=1e-9, steps=50)
    torch.testing.assert_close(
        found.relative_residuals[[0, 2]], torch.tensor([1e-3, 1e-3], dtype=torch.float64)
    )
    residuals = (found.solutions @ MATRIX - SIDES).norm(dim=1) / SIDES.norm(dim=1)
    torch.testing.assert_close(residuals[[0, 2]], found.relative_residuals[[0, 2]])


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_all_runs_together_keep_to_the_steps(steps: int) -> None:
    found = run(Sloppy(1e-2), steps=steps)
    assert found.steps.tolist() == [steps, 0, steps]
    assert not bool(found.converged[0])
