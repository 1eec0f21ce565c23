"""Mean squared error: losses, second derivatives, samples and checks."""

from __future__ import annotations

import re

import pytest
import torch
from torch.nn import functional

from hessinf.data import Dataset, Instance
from hessinf.models import MeanSquaredError, ObjectiveError

GENERATOR = torch.Generator().manual_seed(0)
VALUES = torch.randn(6, 3, dtype=torch.float64, generator=GENERATOR)
TARGETS = torch.randn(6, 3, dtype=torch.float64, generator=GENERATOR)
CASES = [
    pytest.param(VALUES[:, 0], TARGETS[:, :1], id="scalars"),
    pytest.param(VALUES[:, :1], TARGETS[:, 0], id="one column"),
    pytest.param(VALUES, TARGETS, id="several"),
]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("outputs", "targets"), CASES)
def test_square_root_is_exact(reduction, outputs, targets, check_square_root):
    check_square_root(MeanSquaredError(reduction), outputs, targets)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(("outputs", "targets"), CASES)
def test_transforms(reduction, outputs, targets, check_transforms):
    check_transforms(MeanSquaredError(reduction), outputs, targets)


def test_losses_are_pytorchs():
    losses = MeanSquaredError().losses(VALUES, TARGETS)
    torch.testing.assert_close(losses.mean(), functional.mse_loss(VALUES, TARGETS))
    torch.testing.assert_close(MeanSquaredError("sum").losses(VALUES, TARGETS), 3 * losses)


def test_targets_of_another_shape_are_not_broadcast():
    losses = MeanSquaredError().losses(torch.zeros(4, 1), torch.arange(4.0))
    assert losses.tolist() == [0.0, 1.0, 4.0, 9.0]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_sampled_gradients_have_the_hessian_as_second_moment(reduction):
    objective = MeanSquaredError(reduction)
    assert objective.is_negative_log_likelihood
    outputs = torch.zeros(40_000, 3, dtype=torch.float64, requires_grad=True)
    sampled = objective.sample_targets(outputs, outputs, torch.Generator().manual_seed(0))
    (gradients,) = torch.autograd.grad(objective.losses(outputs, sampled).sum(), outputs)
    root = objective.hessian_square_root(outputs.detach(), sampled)[0]
    second_moment = gradients.T @ gradients / len(gradients)
    torch.testing.assert_close(second_moment, root @ root.T, atol=0.05, rtol=0)


def test_predictions():
    assert MeanSquaredError().predictions(torch.tensor([[2.5], [1.0]])).tolist() == [2.5, 1.0]
    assert MeanSquaredError().predictions(VALUES) is VALUES


def data(*targets: torch.Tensor) -> Dataset:
    instances = [Instance(torch.zeros(2), value, f"row-{i}") for i, value in enumerate(targets)]
    return Dataset(instances)


def test_out_features():
    assert MeanSquaredError().out_features(data(torch.zeros(3), torch.zeros(3))) == 3


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (
            data(torch.tensor(3)),
            'the objective "mean-squared-error" needs targets that are floating-point values, and '
            'the target of example 0 (id "row-0") is int64; for classes try "cross-entropy", for '
            "values give them as floats",
        ),
        (
            data(torch.zeros(2), torch.zeros(3)),
            'the target of example 1 (id "row-1") has 3 values, but 2 are expected; give every '
            "example as many",
        ),
        (
            data(torch.zeros(1), torch.tensor([torch.nan])),
            'the target of example 1 (id "row-1") is not finite: [nan]; remove the example, or '
            "fill the value in",
        ),
    ],
)
def test_check_targets(dataset, message):
    with pytest.raises(ObjectiveError, match=f"^{re.escape(message)}$"):
        MeanSquaredError().check_targets(dataset)


def test_shapes_that_do_not_belong_together():
    message = (
        'the objective "mean-squared-error" needs one target for every output: found outputs '
        "[4, 2] and targets [4]; the model has to have as many outputs as a target has values"
    )
    with pytest.raises(ObjectiveError, match=re.escape(message)):
        MeanSquaredError().losses(torch.zeros(4, 2), torch.zeros(4))
