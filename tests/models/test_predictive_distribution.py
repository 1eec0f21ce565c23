"""Sampled targets follow the model's predictive distribution, of every objective that samples.

What a Monte-Carlo Fisher rests on: where the loss is a negative log-likelihood, gradients at
sampled targets have mean zero, and the Hessian in the outputs as second moment.
"""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from hessinf.models import (
    BinaryCrossEntropy,
    CrossEntropy,
    LanguageModeling,
    MeanSquaredError,
    Objective,
)

DRAWS = 40_000
GENERATOR = torch.Generator().manual_seed(5)


def outputs(*shape: int) -> torch.Tensor:
    return 1.5 * torch.randn(1, *shape, dtype=torch.float64, generator=GENERATOR)


CASES = [
    pytest.param(CrossEntropy(), outputs(4), torch.tensor([2]), id="classes"),
    pytest.param(CrossEntropy(), outputs(3, 4), torch.tensor([[1, -100, 3]]), id="positions"),
    pytest.param(LanguageModeling(), outputs(4, 3), torch.tensor([[0, 2, -100, 1]]), id="tokens"),
    pytest.param(
        LanguageModeling(shift=False), outputs(3, 3), torch.tensor([[0, -100, 1]]), id="aligned"
    ),
    pytest.param(BinaryCrossEntropy(), outputs(1), torch.tensor([1]), id="binary"),
    pytest.param(BinaryCrossEntropy(), outputs(3), torch.tensor([[1, 0, 0]]), id="labels"),
    pytest.param(MeanSquaredError(), outputs(3), outputs(3), id="values"),
    pytest.param(MeanSquaredError("sum"), outputs(2), outputs(2), id="summed values"),
]


def drawn(objective: Objective, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return objective.sample_targets(
        output.expand(DRAWS, *output.shape[1:]),
        target.expand(DRAWS, *target.shape[1:]),
        torch.Generator().manual_seed(1),
    )


def sampled_gradients(
    objective: Objective, output: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """Gradients in the outputs at sampled targets, ``[DRAWS, n]``."""
    many = output.expand(DRAWS, *output.shape[1:]).clone().requires_grad_()
    losses = objective.losses(many, drawn(objective, output, target))
    (gradients,) = torch.autograd.grad(losses.sum(), many)
    return gradients.flatten(1)


@pytest.mark.parametrize(("objective", "output", "target"), CASES)
def test_sampled_gradients_have_mean_zero_and_the_hessian_as_second_moment(
    objective: Objective, output: torch.Tensor, target: torch.Tensor
) -> None:
    assert objective.is_negative_log_likelihood
    gradients = sampled_gradients(objective, output, target)
    root = objective.hessian_square_root(output, target)[0].reshape(gradients.shape[1], -1)
    hessian = root @ root.T
    assert float(hessian.diagonal().max()) > 0.1
    spread = gradients.std(dim=0)  # [n]
    assert bool((gradients.mean(dim=0).abs() <= 5 * spread / math.sqrt(DRAWS)).all())
    products = gradients[:, :, None] * gradients[:, None, :]  # [DRAWS, n, n]
    error = (products.mean(dim=0) - hessian).abs()
    assert bool((error <= 5 * products.std(dim=0) / math.sqrt(DRAWS) + 1e-12).all())


@pytest.mark.parametrize(
    "objective",
    [
        CrossEntropy(weight=[0.2, 1.0, 2.0, 1.0]),
        CrossEntropy(label_smoothing=0.4),
        BinaryCrossEntropy([3.0]),
    ],
    ids=["class weights", "label smoothing", "weight of positives"],
)
def test_no_likelihood_no_second_moment(objective: Objective) -> None:
    """What `is_negative_log_likelihood` warns of is so: the moment is another matrix."""
    binary = isinstance(objective, BinaryCrossEntropy)
    output = outputs(1) if binary else outputs(4)
    target = torch.tensor([1])
    assert not objective.is_negative_log_likelihood
    gradients = sampled_gradients(objective, output, target)
    root = objective.hessian_square_root(output, target)[0]
    moment = gradients.T @ gradients / DRAWS
    assert float((moment - root @ root.T).norm()) > 0.05 * float((root @ root.T).norm())


@pytest.mark.parametrize(
    ("objective", "shift"), [(CrossEntropy(), 0), (LanguageModeling(), 1)], ids=["aligned", "next"]
)
def test_every_position_follows_its_own_softmax(objective: Objective, shift: int) -> None:
    """By a chi-square test at each position that counts; and positions are independent."""
    output = outputs(4, 3)
    target = torch.tensor([[0, 1, -100, 2]])
    sampled = drawn(objective, output, target)  # [DRAWS, S]
    assert bool((sampled[:, 2] == -100).all()), "what is ignored stays ignored"
    counted = [place for place in (0, 1, 3) if place >= shift]
    for place in counted:
        expected = output[0, place - shift].softmax(dim=0) * DRAWS  # [C]
        found = torch.bincount(sampled[:, place], minlength=3)
        assert stats.chisquare(found, expected).pvalue > 1e-4, f"position {place}"
    first, last = sampled[:, counted[0]], sampled[:, counted[-1]]
    together = torch.zeros(3, 3).index_put((first, last), torch.ones(DRAWS), accumulate=True)
    assert stats.chi2_contingency(together.numpy()).pvalue > 1e-4


@pytest.mark.parametrize(
    ("objective", "divisor"), [(MeanSquaredError(), 3), (MeanSquaredError("sum"), 1)]
)
def test_sampled_values_are_normal_around_the_outputs(objective: Objective, divisor: int) -> None:
    output = outputs(3)
    sampled = drawn(objective, output, output)
    standardized = (sampled - output) / math.sqrt(divisor / 2)  # [DRAWS, T]
    for column in standardized.T:
        assert stats.kstest(column.numpy(), "norm").pvalue > 1e-4
    correlations = torch.corrcoef(standardized.T) - torch.eye(3, dtype=torch.float64)
    assert float(correlations.abs().max()) < 5 / math.sqrt(DRAWS)


@pytest.mark.parametrize(("objective", "output", "target"), CASES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_of_half_precision_outputs_are_single(
    objective: Objective, output: torch.Tensor, target: torch.Tensor, dtype: torch.dtype
) -> None:
    """A sure model has small losses, of which half precision would leave nothing."""
    sure = (4 * output).to(dtype)
    values = target.is_floating_point()
    own, wide = (target.to(dtype), target.to(dtype).double()) if values else (target, target)
    losses = objective.losses(sure, own)
    assert losses.dtype == torch.float32
    expected = objective.losses(sure.double(), wide)
    torch.testing.assert_close(losses.double(), expected, rtol=1e-5, atol=1e-7)
    root = objective.hessian_square_root(sure, own)
    assert root.dtype == dtype, "the root is multiplied with derivatives of the model"
    torch.testing.assert_close(
        root.double(),
        objective.hessian_square_root(sure.double(), wide),
        rtol=torch.finfo(dtype).eps,
        atol=1e-6,
    )
