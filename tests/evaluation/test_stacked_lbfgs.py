"""Many minimisations at once: known minima, budgets, and independence."""

from __future__ import annotations

import torch

from hessinf.evaluation.stacked_lbfgs import minimize


class Quadratics:
    """``½ (θ − m_k)ᵀ A_k (θ − m_k)``, which counts what it is asked for."""

    def __init__(self, count: int, size: int, spread: float) -> None:
        generator = torch.Generator().manual_seed(0)
        root = torch.randn(count, size, size, generator=generator, dtype=torch.float64)
        eye = torch.eye(size, dtype=torch.float64)
        self.matrices = eye + spread * root @ root.mT / size  # [K, P, P]
        self.minima = torch.randn(count, size, generator=generator, dtype=torch.float64)
        self.asked: list[int] = []

    def evaluate(self, members: torch.Tensor, thetas: torch.Tensor):
        self.asked.append(len(members))
        away = thetas - self.minima[members]  # [A, P]
        gradients = torch.einsum("apq,aq->ap", self.matrices[members], away)
        return 0.5 * (away * gradients).sum(dim=1), gradients


class Rosenbrock:
    """Two numbers, a curved valley: not convex."""

    def evaluate(self, members: torch.Tensor, thetas: torch.Tensor):
        variable = thetas.clone().requires_grad_()
        x, y = variable[:, 0], variable[:, 1]
        values = (1 - x) ** 2 + 100 * (y - x**2) ** 2
        (gradients,) = torch.autograd.grad(values.sum(), variable)
        return values.detach(), gradients


def unchanged(vectors: torch.Tensor) -> torch.Tensor:
    return vectors


def test_finds_every_minimum() -> None:
    objective = Quadratics(6, 5, spread=3.0)
    found = minimize(
        objective, torch.zeros(6, 5).double(), unchanged, tolerance=1e-10, evaluations=100
    )
    assert float((found.thetas - objective.minima).abs().max()) < 1e-9
    assert bool((found.gradient_norms <= 1e-10).all())


def test_in_its_own_metric_one_step_is_enough() -> None:
    objective = Quadratics(1, 5, spread=50.0)
    inverse = torch.linalg.inv(objective.matrices[0])
    found = minimize(
        objective,
        torch.zeros(1, 5).double(),
        lambda vectors: vectors @ inverse,
        tolerance=1e-9,
        evaluations=100,
    )
    assert found.evaluations.tolist() == [2]


def test_members_do_not_touch_each_other() -> None:
    """Alone and together, to the tolerance; the finished ones are not asked for any more."""
    objective = Quadratics(4, 5, spread=20.0)
    start = objective.minima.clone()
    start[1:] += 1.0  # the first one is at its minimum already
    together = minimize(objective, start, unchanged, tolerance=1e-8, evaluations=100)
    assert objective.asked[0] == 4
    assert max(objective.asked[1:]) == 3
    assert together.evaluations[0] == 1
    assert torch.equal(together.thetas[0], start[0])


def test_where_it_is_not_convex() -> None:
    start = torch.tensor([[-1.2, 1.0], [3.0, -4.0], [0.0, 0.0]], dtype=torch.float64)
    found = minimize(Rosenbrock(), start, unchanged, tolerance=1e-9, evaluations=500)
    torch.testing.assert_close(found.thetas, torch.ones(3, 2).double(), rtol=0, atol=1e-8)
    assert start[0, 0] == -1.2


def test_a_budget_is_kept_and_the_norm_is_that_of_where_it_stands() -> None:
    objective = Quadratics(3, 5, spread=200.0)
    found = minimize(
        objective, torch.zeros(3, 5).double(), unchanged, tolerance=1e-12, evaluations=4
    )
    assert len(objective.asked) == 5
    assert found.evaluations.tolist() == [5, 5, 5]
    _, gradients = objective.evaluate(torch.arange(3), found.thetas)
    torch.testing.assert_close(found.gradient_norms, gradients.norm(dim=1))
    assert bool((found.gradient_norms > 1e-12).all())


def test_never_uphill_and_never_to_what_is_no_number() -> None:
    """An objective that is not defined beyond 1, and a metric that steps there."""

    class Logarithm:
        def evaluate(self, members: torch.Tensor, thetas: torch.Tensor):
            return (-(1 - thetas).log() - 3 * thetas)[:, 0], 1 / (1 - thetas) - 3

    found = minimize(
        Logarithm(),
        torch.zeros(1, 1).double(),
        lambda vectors: 10 * vectors,
        tolerance=1e-9,
        evaluations=100,
    )
    torch.testing.assert_close(found.thetas, torch.full((1, 1), 2 / 3).double())
