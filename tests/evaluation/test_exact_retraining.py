"""Retrained convex models beside closed forms, scikit-learn, and plain Newton steps."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from hessinf.data import as_dataset
from hessinf.evaluation import EvaluationError, exact_retraining
from hessinf.evaluation.exact_retraining import ExactRetraining
from hessinf.models import Objective, as_objective
from hessinf.testing.leave_one_out import (
    LeaveOneOut,
    logistic_on_breast_cancer,
    ridge_on_diabetes,
    softmax_on_wine,
)


def table(seed: int, examples: int, features: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(examples, features, generator=generator, dtype=torch.float64)  # [N, D]


def regression(seed: int, examples: int = 30, features: int = 4) -> tuple[torch.Tensor, ...]:
    inputs = table(seed, examples, features)
    return inputs, inputs.sum(dim=1, keepdim=True) + table(seed + 1, examples, 1)


def linear(features: int, outputs: int = 1, bias: bool = False) -> nn.Linear:
    return nn.Linear(features, outputs, bias=bias, dtype=torch.float64)


def all_but_one(count: int) -> torch.Tensor:
    return ~torch.eye(count, dtype=torch.bool)  # [N, N]


def retraining(module: nn.Module, data: tuple, objective: str, **arguments: object):
    arguments = {"weight_decay": 0.1, **arguments}
    loss = Objective.from_config(objective)
    return ExactRetraining(module, as_dataset(data), loss, **arguments)


def names(count: int) -> list[str]:
    return [f"subset {place}" for place in range(count)]


class TestClosedForms:
    @pytest.mark.parametrize("reduction", ["mean-fixed", "sum"])
    def test_leave_one_out_of_ridge_regression_by_the_hat_matrix(self, reduction: str) -> None:
        inputs, targets = regression(3)
        count, weight_decay = len(inputs), 0.1
        found = retraining(
            linear(4),
            (inputs, targets),
            "mean-squared-error",
            weight_decay=weight_decay,
            reduction=reduction,
            gradient_tolerance=1e-13,
        )
        gram = inputs.T @ inputs + count * weight_decay / 2 * torch.eye(
            4, dtype=torch.float64
        )  # [D, D]
        whole = torch.linalg.solve(gram, inputs.T @ targets)  # [D, 1]
        moved = torch.linalg.solve(gram, inputs.T)  # [D, N]
        leverages = (inputs * moved.T).sum(dim=1)  # [N]
        residuals = (targets - inputs @ whole)[:, 0]  # [N]
        expected = whole.T - (moved * residuals / (1 - leverages)).T  # [N, D]
        thetas = found.optima(all_but_one(count), names(count))
        assert float((found.whole - whole[:, 0]).abs().max()) < 1e-10
        assert float((thetas - expected).abs().max()) < 1e-10

    def test_the_mean_is_renormalised_over_what_is_left(self) -> None:
        inputs, targets = regression(5)
        found = retraining(
            linear(4), (inputs, targets), "mean-squared-error", gradient_tolerance=1e-13
        )
        masks = torch.rand(7, 30, generator=torch.Generator().manual_seed(0)) < 0.5  # [K, N]
        thetas = found.optima(masks, names(7))
        for mask, theta in zip(masks, thetas, strict=True):
            x, y = inputs[mask], targets[mask]
            gram = x.T @ x + len(x) * 0.1 / 2 * torch.eye(4, dtype=torch.float64)
            expected = torch.linalg.solve(gram, x.T @ y)[:, 0]
            assert float((theta - expected).abs().max()) < 1e-10

    def test_without_weight_decay(self) -> None:
        inputs, targets = regression(7)
        found = retraining(
            linear(4),
            (inputs, targets),
            "mean-squared-error",
            weight_decay=0.0,
            gradient_tolerance=1e-13,
        )
        thetas = found.optima(all_but_one(30), names(30))
        for place, theta in enumerate(thetas):
            rest = torch.arange(30) != place
            expected = torch.linalg.lstsq(inputs[rest], targets[rest]).solution[:, 0]
            assert float((theta - expected).abs().max()) < 1e-9


class TestOtherPrograms:
    @pytest.mark.parametrize(
        "expected",
        [
            pytest.param(softmax_on_wine(train_size=60), id="softmax"),
            pytest.param(logistic_on_breast_cancer(0.02, train_size=60), id="logistic"),
            pytest.param(ridge_on_diabetes(train_size=60), id="ridge"),
        ],
    )
    def test_plain_newton_steps_on_every_removal(self, expected: LeaveOneOut) -> None:
        found = ExactRetraining(
            expected.module,
            as_dataset(expected.train),
            Objective.from_config(expected.objective),
            weight_decay=expected.weight_decay,
            gradient_tolerance=1e-12,
        )
        queries = as_dataset(expected.queries)
        thetas = found.optima(all_but_one(60), names(60))
        before = found.values(found.whole[None], queries)
        changes = (found.values(thetas, queries) - before).T  # [Q, N]
        np.testing.assert_allclose(changes, expected.true_changes, atol=2e-8)

    def test_scikit_learn_on_subsets(self) -> None:
        inputs = table(11, 90, 3)
        targets = (inputs @ table(12, 3, 3) + table(13, 90, 3)).argmax(dim=1)  # [N]
        found = retraining(linear(3, 3), (inputs, targets), "cross-entropy", weight_decay=0.01)
        generator = torch.Generator().manual_seed(1)
        masks = torch.rand(4, 90, generator=generator) < torch.tensor([[0.3], [0.5], [0.7], [0.9]])
        thetas = found.optima(masks, names(4))
        for mask, theta in zip(masks.numpy(), thetas, strict=True):
            other = LogisticRegression(
                C=1 / (0.01 * mask.sum()), fit_intercept=False, tol=1e-9, max_iter=1000
            ).fit(inputs.numpy()[mask], targets.numpy()[mask])
            np.testing.assert_allclose(theta.reshape(3, 3), other.coef_, atol=1e-6)


class TestIndependence:
    def test_of_what_it_is_trained_with(self) -> None:
        """Alone, or among others: to the tolerance the same."""
        inputs, targets = regression(17)
        labels = (targets[:, 0] > 0).long()
        found = retraining(linear(4, 2), (inputs, labels), "cross-entropy")
        masks = all_but_one(30)
        together = found.optima(masks, names(30))
        alone = torch.cat([found.optima(masks[place : place + 1], ["it"]) for place in range(30)])
        assert float((together - alone).abs().max()) < 1e-6

    def test_of_the_modules_own_weights(self) -> None:
        inputs, targets = regression(19)
        modules = [linear(4), linear(4)]
        first, second = (
            retraining(module, (inputs, targets), "mean-squared-error") for module in modules
        )
        assert torch.equal(first.whole, second.whole)

    def test_the_module_stays_as_it_was(self) -> None:
        inputs, targets = regression(23)
        module = linear(4)
        before = module.weight.detach().clone()
        retraining(module, (inputs, targets), "mean-squared-error")
        assert torch.equal(module.weight, before)
        assert module.weight.grad is None

    def test_own_hessians_are_formed_where_one_metric_is_not_enough(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inputs = 3 * table(29, 60, 3)
        labels = (inputs @ table(30, 3, 3)).argmax(dim=1)
        data = (inputs, labels)
        usual = retraining(linear(3, 3), data, "cross-entropy", weight_decay=1e-3)
        masks = torch.zeros(2, 60, dtype=torch.bool)
        masks[0, :20], masks[1, 20:] = True, True
        expected = usual.optima(masks, names(2))
        monkeypatch.setattr(exact_retraining, "EVALUATIONS", 5)
        monkeypatch.setattr(exact_retraining, "METRICS", 50)
        found = retraining(linear(3, 3), data, "cross-entropy", weight_decay=1e-3)
        assert float((found.optima(masks, names(2)) - expected).abs().max()) < 1e-4


class TestRefusals:
    def test_a_network(self) -> None:
        inputs, targets = regression(31)
        module = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)).double()
        expected = (
            r"exact retraining retrains convex models to the last digit, and the outputs of this "
            r"Sequential are not linear in its parameters \(between two sets of them they are "
            r"[0-9.e-]+ away from a line\); what leaving one example out does to a network that is "
            r'trained by chance is mostly noise; use the metric "lds", which averages over many '
            r"subsets and seeds"
        )
        with pytest.raises(EvaluationError, match=f"^{expected}$"):
            retraining(module, (inputs, targets), "mean-squared-error")

    def test_two_linear_layers(self) -> None:
        """Linear in the inputs, not in the parameters."""
        inputs, targets = regression(37)
        module = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1)).double()
        with pytest.raises(EvaluationError, match="not linear in its parameters"):
            retraining(module, (inputs, targets), "mean-squared-error")

    def test_a_softmax_without_weight_decay(self) -> None:
        inputs, targets = regression(41)
        labels = (targets[:, 0] > 0).long()
        with pytest.raises(EvaluationError) as raised:
            retraining(linear(4, 2), (inputs, labels), "cross-entropy", weight_decay=0.0)
        assert str(raised.value) == (
            "exact retraining needs a training objective with one minimum, and its Hessian (8 × 8) "
            "is not positive definite; train with weight_decay above 0, such as 1e-3"
        )

    def test_a_loss_that_is_not_convex(self) -> None:
        inputs, targets = regression(43)
        loss = as_objective(lambda outputs, targets: -((outputs - targets) ** 2).sum(dim=1))
        with pytest.raises(EvaluationError, match="is not positive definite"):
            ExactRetraining(linear(4), as_dataset((inputs, targets)), loss, weight_decay=1e-3)

    def test_several_optima_on_a_subset(self) -> None:
        """The only example that has a feature is left out, and there is no weight decay."""
        inputs, targets = regression(47)
        inputs[:, 3] = 0.0
        inputs[6, 3] = 1.0
        found = retraining(linear(4), (inputs, targets), "mean-squared-error", weight_decay=0.0)
        masks = all_but_one(30)[5:8]
        with pytest.raises(
            EvaluationError,
            match=r"^exact retraining: training on all but 6 has more than one optimum \(two "
            r"starts end [0-9.e+-]+ apart\), so that what it does to a query is not defined; train "
            r"with weight_decay above 0, such as 1e-3$",
        ):
            found.optima(masks, ["all but 5", "all but 6", "all but 7"])

    def test_nothing_left(self) -> None:
        inputs, targets = regression(53)
        found = retraining(linear(4), (inputs, targets), "mean-squared-error")
        masks = torch.ones(2, 30, dtype=torch.bool)
        masks[1] = False
        with pytest.raises(EvaluationError) as raised:
            found.optima(masks, names(2))
        assert str(raised.value) == (
            "exact retraining: subset 1 leaves no example to train on; leave fewer out"
        )

    def test_an_optimum_that_is_out_of_reach_is_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inputs, targets = regression(59)
        labels = (targets[:, 0] > 0).long()
        monkeypatch.setattr(exact_retraining, "METRICS", 2)
        found = retraining(linear(4, 2), (inputs, labels), "cross-entropy")
        found.gradient_tolerance = 1e-30
        expected = re.escape(
            "expected 1e-30 at most; is the loss smooth and convex in the outputs? Standardize "
            "inputs, raise weight_decay, or raise gradient_tolerance"
        )
        with pytest.raises(
            EvaluationError,
            match=f"^exact retraining: training on subset 0 ended with a gradient of .*{expected}",
        ):
            found.optima(all_but_one(30)[:2], names(2))


def test_every_gradient_is_below_the_tolerance() -> None:
    """By another route: automatic differentiation of each one's own objective, one at a time."""
    inputs, targets = regression(61)
    labels = (targets[:, 0] > 0).long()
    found = retraining(linear(4, 2, bias=True), (inputs, labels), "cross-entropy")
    masks = all_but_one(30)
    for mask, theta in zip(masks, found.optima(masks, names(30)), strict=True):
        variable = theta.clone().requires_grad_()
        weight, bias = variable[:8].reshape(2, 4), variable[8:]
        loss = nn.functional.cross_entropy(inputs[mask] @ weight.T + bias, labels[mask])
        (gradient,) = torch.autograd.grad(loss + 0.05 * variable.square().sum(), variable)
        assert float(gradient.norm()) < 1e-8
