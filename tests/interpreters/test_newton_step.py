"""Refined loss changes beside dense matrices, one explicit solve an example."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.interpreters import InfluenceInterpreter
from hessinf.testing import (
    Problem,
    Tolerance,
    convolutional_network,
    language_model,
    logistic_regression,
    multilayer_perceptron,
    references,
    ridge_regression,
)
from hessinf.testing.refined_references import refined_loss_changes, without_each

DAMPING = 0.03


def make(name: str, problem: Problem, **changed: Any) -> Any:
    given: dict[str, Any] = {
        "objective": problem.objective,
        "weight_decay": problem.weight_decay,
        "damping": DAMPING,
        **changed,
    }
    return InfluenceInterpreter.by_name(name)(
        given.pop("model", problem.module()), given.pop("train_data", problem.train), **given
    )


def check(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-9) -> None:
    Tolerance(relative=tolerance).check(found, expected, "refined loss changes")


@pytest.fixture(
    params=[
        logistic_regression,
        ridge_regression,
        multilayer_perceptron,
        convolutional_network,
        language_model,
    ],
    ids=lambda problem: problem.__name__,
)
def problem(request: pytest.FixtureRequest) -> Problem:
    return request.param()


class TestBesideDenseMatrices:
    @pytest.mark.parametrize("reduction", ["mean", "mean-fixed", "sum"])
    def test_exact(self, problem: Problem, reduction: str) -> None:
        found = make("exact", problem, training_reduction=reduction)
        others = without_each(problem, references.hessian(problem))
        check(
            found.loss_changes(problem.queries, refinement="newton-step"),
            refined_loss_changes(problem, others, DAMPING, reduction),
        )

    @pytest.mark.parametrize("reduction", ["mean", "mean-fixed", "sum"])
    @pytest.mark.parametrize("form", ["primal", "dual"])
    def test_ggn(self, problem: Problem, reduction: str, form: str) -> None:
        found = make("ggn", problem, training_reduction=reduction, form=form)
        others = without_each(problem, references.gauss_newton(problem))
        check(
            found.loss_changes(problem.queries, refinement="newton-step"),
            refined_loss_changes(problem, others, DAMPING, reduction),
            1e-8,
        )

    @pytest.mark.parametrize("reduction", ["mean", "sum"])
    def test_block_ggn(self, problem: Problem, reduction: str) -> None:
        found = make("block-ggn", problem, training_reduction=reduction)
        blocks = list(references.parameter_blocks(problem, by="layer").values())
        others = without_each(problem, references.gauss_newton(problem), blocks)
        check(
            found.loss_changes(problem.queries, refinement="newton-step"),
            refined_loss_changes(problem, others, DAMPING, reduction),
        )

    def test_blocks_that_do_not_lie_side_by_side(self) -> None:
        problem = multilayer_perceptron()
        found = make(
            "block-ggn", problem, blocks={"outer": ["0.weight", "4.weight"], "inner": ["0.bias"]}
        )
        blocks = [np.r_[0:20, 25:40], np.arange(20, 25)]
        others = without_each(problem, references.gauss_newton(problem), blocks)
        check(
            found.loss_changes(problem.queries, refinement="newton-step"),
            refined_loss_changes(problem, others, DAMPING),
        )

    @pytest.mark.parametrize(
        "name", ["exact", "ggn", "block-ggn", "block-hessian", "kfac", "ekfac"]
    )
    def test_ridge_regression_is_retrained_exactly(self, name: str) -> None:
        """The objective is quadratic and its model linear, so that one Newton step is the whole."""
        problem = ridge_regression()
        found = make(name, problem, damping=0.0)
        actual = references.loss_changes_by_retraining(problem)
        # As near as L-BFGS comes to the optimum without an example.
        check(found.loss_changes(problem.queries, refinement="newton-step"), actual, 1e-6)
        first_order = found.loss_changes(problem.queries)
        assert np.linalg.norm(first_order - actual) > 1e-2 * np.linalg.norm(actual)

    def test_the_share_counts(self) -> None:
        """Weight decay weighs more beside fewer losses: the dense reference without it differs."""
        problem = logistic_regression()
        found = make("exact", problem).loss_changes(problem.queries, refinement="newton-step")
        others = without_each(problem, references.hessian(problem))
        fixed = refined_loss_changes(problem, others, DAMPING, "mean-fixed")
        assert np.linalg.norm(found - fixed) > 1e-2 * np.linalg.norm(fixed)


class SequenceModel(nn.Module):
    """Logits ``[B, S, C]``; linear in θ, so that the Hessian is the Gauss-Newton matrix."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.weight = nn.Parameter(torch.randn(4, 3, generator=generator, dtype=torch.float64))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.weight  # [B, S, C]


def hessian_of(values: Any, weight: torch.Tensor) -> np.ndarray:
    """The Hessian of a function of the weight, ``[P, P]``."""
    matrix = torch.autograd.functional.hessian(values, weight.detach())
    return matrix.reshape(weight.numel(), weight.numel()).numpy()


def linear_changes(
    losses: Any, weight: torch.Tensor, train: Any, queries: Any, weight_decay: float
) -> np.ndarray:
    """The refined loss changes of a model that is linear in one weight, by full Hessians.

    Parameters
    ----------
    losses
        From a weight, inputs and targets to ``[B]``.
    """
    size, count = weight.numel(), len(train[1])
    matrices, slopes = [], []
    for place in range(count):
        one = tuple(column[place : place + 1] for column in train)
        matrices.append(hessian_of(lambda w, one=one: losses(w, *one)[0], weight))
        variable = weight.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(losses(variable, *one)[0], variable)
        slopes.append(slope.numpy().ravel())
    total, mean = sum(matrices), np.mean(slopes, axis=0)
    columns = []
    with torch.no_grad():
        before = losses(weight, *queries).numpy()
        for matrix, slope in zip(matrices, slopes, strict=True):
            left = (total - matrix) / (count - 1) + weight_decay * np.eye(size)
            step = np.linalg.solve(left, (slope - mean) / (count - 1))
            moved = weight + torch.tensor(step).reshape(weight.shape)
            columns.append(losses(moved, *queries).numpy() - before)
    return np.stack(columns, axis=1)


class TestObjectives:
    def data(self, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return (
            torch.randn(count, 4, generator=generator, dtype=torch.float64),
            torch.randn(count, generator=generator, dtype=torch.float64),
        )

    def model(self) -> nn.Linear:
        model = nn.Linear(4, 1, bias=False, dtype=torch.float64)
        with torch.no_grad():
            model.weight.copy_(torch.tensor([[0.4, -0.3, 0.2, 0.1]]))
        return model

    def test_binary_cross_entropy(self) -> None:
        model, train, queries = self.model(), self.data(25, 1), self.data(6, 2)
        train = (train[0], (train[1] > 0).long())
        queries = (queries[0], (queries[1] > 0).long())

        def losses(weight: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            logits = (x @ weight.T)[:, 0]
            return functional.binary_cross_entropy_with_logits(logits, y.double(), reduction="none")

        for name in ("exact", "ggn"):
            found = InfluenceInterpreter.by_name(name)(
                model, train, objective="binary-cross-entropy", weight_decay=0.05, damping=0.0
            ).loss_changes(queries, refinement="newton-step")
            check(found, linear_changes(losses, model.weight, train, queries, 0.05))

    def test_a_loss_function_that_is_not_convex(self) -> None:
        """Outliers have negative curvature: taking them out adds some."""
        model, train, queries = self.model(), self.data(40, 3), self.data(6, 4)

        def cauchy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return torch.log1p((outputs - targets.reshape(outputs.shape)).square())[:, 0]

        def losses(weight: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return cauchy(x @ weight.T, y)

        residuals = (model(train[0])[:, 0] - train[1]).abs()
        assert 3 < int((residuals > 1).sum()) < 37
        found = InfluenceInterpreter.by_name("exact")(
            model, train, objective=cauchy, weight_decay=0.3, damping=0.0
        ).loss_changes(queries, refinement="newton-step")
        check(found, linear_changes(losses, model.weight, train, queries, 0.3))

    def test_positions_and_masks(self) -> None:
        """All positions of an example leave together; masked ones count for nothing."""
        model = SequenceModel()
        generator = torch.Generator().manual_seed(6)

        def data(count: int) -> tuple[torch.Tensor, torch.Tensor]:
            inputs = torch.randn(count, 5, 4, generator=generator, dtype=torch.float64)
            targets = torch.randint(3, (count, 5), generator=generator)
            lengths = torch.randint(2, 6, (count, 1), generator=generator)
            return inputs, torch.where(torch.arange(5) < lengths, targets, -100)

        train, queries = data(17), data(4)

        def losses(weight: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            terms = functional.cross_entropy(
                (x @ weight).reshape(-1, 3), y.reshape(-1), reduction="none", ignore_index=-100
            )
            return terms.reshape(y.shape).sum(dim=1)

        for name in ("exact", "ggn"):
            found = InfluenceInterpreter.by_name(name)(
                model, train, objective="cross-entropy", weight_decay=0.1, damping=0.0
            ).loss_changes(queries, refinement="newton-step")
            check(found, linear_changes(losses, model.weight, train, queries, 0.1))
