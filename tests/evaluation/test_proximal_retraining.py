"""Proximal and Bregman retraining beside closed forms, other programs, and each other."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.data import as_dataset
from hessinf.evaluation import EvaluationError
from hessinf.evaluation.proximal_retraining import ProximalRetraining
from hessinf.interpreters import InfluenceInterpreter
from hessinf.models import Measurement, Objective
from tests.evaluation.problems import small_network_problem

COUNT, FEATURES = 25, 3

INDICES = torch.tensor([4, 0, 17])


class LeastSquares:
    """``1/N Σ (y − xθ)² + ½ wd ‖θ‖²``, a model at its minimum or not, and the algebra of it."""

    def __init__(self, *, weight_decay: float = 0.0, converged: bool = True) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(COUNT, FEATURES, generator=generator, dtype=torch.float64)
        noise = torch.randn(COUNT, 1, generator=generator, dtype=torch.float64)
        self.y = self.x.sum(dim=1, keepdim=True) + noise
        self.queries = torch.randn(6, FEATURES, generator=generator, dtype=torch.float64)
        self.weight_decay = weight_decay
        self.eye = torch.eye(FEATURES, dtype=torch.float64)
        self.hessian = 2 * self.x.T @ self.x / COUNT  # of the mean loss
        right = 2 * self.x.T @ self.y / COUNT
        self.theta = torch.linalg.solve(self.hessian + weight_decay * self.eye, right)[:, 0]
        if not converged:
            self.theta = self.theta + 0.3
        self.module = nn.Linear(FEATURES, 1, bias=False, dtype=torch.float64)
        self.module.weight.data.copy_(self.theta[None])

    def retraining(self, **arguments: Any) -> ProximalRetraining:
        return ProximalRetraining(
            self.module,
            as_dataset((self.x, self.y)),
            as_dataset((self.queries, torch.zeros(6, 1, dtype=torch.float64))),
            Objective.from_config("mean-squared-error"),
            Measurement.from_config("loss"),
            INDICES,
            **{"weight_decay": self.weight_decay, "gradient_tolerance": 1e-12, **arguments},
        )

    def gradient(self, index: int) -> torch.Tensor:
        return 2 * self.x[index] * (self.x[index] @ self.theta - self.y[index, 0])

    def own_hessian(self, index: int) -> torch.Tensor:
        return 2 * torch.outer(self.x[index], self.x[index])


def scale(reduction: str) -> tuple[float, int]:
    return (1 / (COUNT - 1), 1) if reduction == "mean" else (1 / COUNT, 0)


@pytest.mark.parametrize("reduction", ["mean", "mean-fixed", "sum"])
@pytest.mark.parametrize("converged", [True, False])
class TestLeastSquares:
    """All four models have closed forms."""

    def test_bregman(self, reduction: Any, converged: bool) -> None:
        model = LeastSquares(weight_decay=0.1, converged=converged)
        found = model.retraining(damping=0.05, reduction=reduction).bregman()
        epsilon, c = scale(reduction)
        mean = torch.stack([model.gradient(i) for i in range(COUNT)]).mean(dim=0)
        for index, theta in zip(INDICES.tolist(), found.thetas, strict=True):
            left = (
                model.hessian
                + 0.15 * model.eye
                - epsilon * (model.own_hessian(index) - c * model.hessian)
            )
            step = torch.linalg.solve(left, epsilon * (model.gradient(index) - c * mean))
            torch.testing.assert_close(theta, model.theta + step, rtol=0, atol=1e-10)

    def test_proximal(self, reduction: Any, converged: bool) -> None:
        model = LeastSquares(weight_decay=0.1, converged=converged)
        found = model.retraining(damping=0.05, reduction=reduction).proximal()
        each = 1 / (COUNT - 1) if reduction == "mean" else 1 / COUNT
        for index, theta in zip(INDICES.tolist(), found.thetas, strict=True):
            rest = torch.arange(COUNT) != index
            x, y = model.x[rest], model.y[rest]
            left = 2 * each * x.T @ x + 0.15 * model.eye
            right = 2 * each * (x.T @ y)[:, 0] + 0.05 * model.theta
            torch.testing.assert_close(theta, torch.linalg.solve(left, right), rtol=0, atol=1e-10)

    def test_linear(self, reduction: Any, converged: bool) -> None:
        model = LeastSquares(weight_decay=0.1, converged=converged)
        found = model.retraining(damping=0.05, reduction=reduction).linear()  # [n, Q]
        epsilon, c = scale(reduction)
        mean = torch.stack([model.gradient(i) for i in range(COUNT)]).mean(dim=0)
        curvature = model.hessian + 0.15 * model.eye
        for index, changes in zip(INDICES.tolist(), found, strict=True):
            step = torch.linalg.solve(curvature, epsilon * (model.gradient(index) - c * mean))
            slopes = 2 * model.queries * (model.queries @ model.theta)[:, None]  # [Q, P]
            torch.testing.assert_close(changes, slopes @ step, rtol=0, atol=1e-10)


class TestVanishingGaps:
    @pytest.mark.parametrize("weight_decay", [0.0, 0.1])
    def test_at_a_minimum_without_damping(self, weight_decay: float) -> None:
        """Retraining, the proximal and the Bregman model are one and the same."""
        model = LeastSquares(weight_decay=weight_decay)
        retraining = model.retraining(damping=0.0)
        proximal, bregman = retraining.proximal().thetas, retraining.bregman().thetas
        torch.testing.assert_close(proximal, bregman, rtol=0, atol=1e-9)
        for index, theta in zip(INDICES.tolist(), bregman, strict=True):
            rest = torch.arange(COUNT) != index
            x, y = model.x[rest], model.y[rest]
            left = 2 * x.T @ x / (COUNT - 1) + weight_decay * model.eye
            retrained = torch.linalg.solve(left, 2 * (x.T @ y)[:, 0] / (COUNT - 1))
            torch.testing.assert_close(theta, retrained, rtol=0, atol=1e-9)

    def test_away_from_it_only_the_bregman_model_stays(self) -> None:
        model = LeastSquares(weight_decay=0.1, converged=False)
        retraining = model.retraining(damping=0.05)
        moved = (retraining.proximal().thetas - model.theta).norm(dim=1)
        stayed = (retraining.bregman().thetas - model.theta).norm(dim=1)
        assert bool((moved > 3 * stayed).all())


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ProximalRetraining]:
    problem = small_network_problem(tmp_path_factory.mktemp("network"))
    return problem, ProximalRetraining(
        problem.models[0].module,
        problem.train,
        problem.queries,
        problem.objective,
        problem.measurement,
        torch.tensor([3, 40, 71]),
        weight_decay=problem.weight_decay,
        damping=0.01,
    )


class TestNetworks:
    def test_linear_is_what_the_method_ggn_predicts(self, network: Any) -> None:
        problem, retraining = network
        interpreter = InfluenceInterpreter.by_name("ggn")(
            copy.deepcopy(problem.models[0].module).double(),
            problem.train,
            objective=problem.objective,
            weight_decay=problem.weight_decay,
            damping=0.01,
        )
        expected = interpreter.loss_changes(problem.queries)[:, [3, 40, 71]].T  # [n, Q]
        np.testing.assert_allclose(retraining.linear(), expected, rtol=1e-9, atol=1e-12)

    def test_bregman_has_no_gradient_by_another_route(self, network: Any) -> None:
        """Divergences written down as they are defined, one example at a time."""
        problem, retraining = network
        model = retraining.models.model
        batch = next(iter(retraining.models.batches(problem.train)))
        before = model.outputs(model.parameters, batch.inputs).detach().requires_grad_()
        losses_before = problem.objective.losses(before, batch.targets)
        (slopes,) = torch.autograd.grad(losses_before.sum(), before)
        count = len(problem.train)
        for index, theta in zip([3, 40, 71], retraining.bregman().thetas, strict=True):
            variable = theta.clone().requires_grad_()
            outputs = model.outputs(model.layout.unflatten(variable), batch.inputs)
            losses = problem.objective.losses(outputs, batch.targets)
            divergences = losses - losses_before - (slopes * (outputs - before)).sum(dim=1)
            assert float(divergences.detach().min()) > -1e-12
            away = 0.5 * (0.01 + problem.weight_decay) * (variable - retraining.origin).square()
            objective = (
                divergences.mean() + away.sum() - (losses[index] - losses.mean()) / (count - 1)
            )
            (gradient,) = torch.autograd.grad(objective, variable)
            assert float(gradient.norm()) < 1e-8

    def test_a_response_is_near_influence(self, network: Any) -> None:
        """What Bae et al. found: damped influence answers this question."""
        _, retraining = network
        bregman = retraining.values(retraining.bregman().thetas)
        changes = bregman - retraining.values(retraining.origin[None])
        both = torch.stack([changes.flatten(), retraining.linear().flatten()])
        assert float(torch.corrcoef(both)[0, 1]) > 0.95

    def test_strong_proximity_leaves_the_model_where_it_is(
        self, network: Any, tmp_path: Path
    ) -> None:
        problem, retraining = network
        strong = ProximalRetraining(
            problem.models[0].module,
            problem.train,
            problem.queries,
            problem.objective,
            problem.measurement,
            torch.tensor([3]),
            weight_decay=0.0,
            damping=1e6,
        )
        assert float((strong.proximal().thetas - retraining.origin).abs().max()) < 1e-5

    def test_what_cannot_be_reached_is_named(self, network: Any) -> None:
        problem, _ = network
        impossible = ProximalRetraining(
            problem.models[0].module,
            problem.train,
            problem.queries,
            problem.objective,
            problem.measurement,
            torch.tensor([40]),
            weight_decay=0.0,
            damping=0.01,
            gradient_tolerance=1e-30,
        )
        with pytest.raises(
            EvaluationError,
            match=r"^the proximal Bregman response without training example 40 ended with a "
            r"gradient of norm [0-9.e-]+, expected 1e-30 at most; raise damping \(0\.01 "
            r"now\), which keeps it near the model$",
        ):
            impossible.bregman()

    def test_no_damping_and_no_weight_decay(self, network: Any) -> None:
        problem, _ = network
        singular = ProximalRetraining(
            problem.models[0].module,
            problem.train[:3],
            problem.queries,
            problem.objective,
            problem.measurement,
            torch.tensor([1]),
            weight_decay=0.0,
            damping=0.0,
        )
        with pytest.raises(EvaluationError) as raised:
            singular.linear()
        size = singular.models.model.layout.size
        assert str(raised.value) == (
            f'"five-gaps": the Gauss-Newton matrix of {size} parameters with weight decay 0 and '
            "damping 0 is not positive definite; raise damping"
        )
