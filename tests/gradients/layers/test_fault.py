"""Errors of differentiation name the module that they come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel, GradientError, PerExampleGradients
from hessinf.gradients.layers import LayerCapture
from hessinf.models import CrossEntropy


class Apply(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class Opaque(torch.autograd.Function):
    """Has no derivative."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.sign()


def model_with(function: Callable[[torch.Tensor], torch.Tensor]) -> FunctionalModel:
    inner = nn.Sequential(nn.Linear(4, 4), Apply(function))
    return FunctionalModel(nn.Sequential(nn.Linear(4, 4), inner, nn.Linear(4, 3)))


def by_examples(model: FunctionalModel) -> None:
    PerExampleGradients(model, CrossEntropy().losses, "training loss")(batch())


def by_capture(model: FunctionalModel) -> None:
    with LayerCapture(model).recording(batch()) as record:
        record.pull_back(torch.randn(1, *record.outputs.shape)).materialize()


def batch() -> Batch:
    return Batch(torch.randn(3, 4), torch.tensor([0, 1, 2]), torch.arange(3))


@pytest.mark.parametrize("route", [by_examples, by_capture])
@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (
            lambda x: x.exp().add_(1),
            "one of the variables needed for gradient computation has been modified by an inplace "
            "operation: [torch.FloatTensor [1, 4]], which is output 0 of Exp, is at version 1; "
            "expected version 0 instead",
        ),
        (
            Opaque.apply,
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD",
        ),
    ],
)
def test_the_module_is_named(
    route: Callable[[FunctionalModel], None], function: Any, reason: str
) -> None:
    text = (
        f'PyTorch cannot differentiate the module "1.1" (Apply): {reason}; likely causes: it '
        "writes into a tensor that its own derivative needs, or has an operation without a "
        "derivative; replace that, or freeze the parameters before it with params_to_freeze"
    )
    model = model_with(function)
    with pytest.raises(GradientError) as raised, model.evaluating():
        route(model)
    found = re.sub(
        r"\[torch\.FloatTensor \[\d, 4\]\]", "[torch.FloatTensor [1, 4]]", str(raised.value)
    )
    assert found == text


def test_the_loss_is_named() -> None:
    model = FunctionalModel(nn.Linear(4, 3))
    compute = PerExampleGradients(model, lambda f, _: Opaque.apply(f).sum(1), "training loss")
    with pytest.raises(
        GradientError,
        match=r"^PyTorch cannot differentiate what is computed of the model's outputs: ",
    ):
        compute(batch())


@pytest.mark.parametrize("route", [by_examples, by_capture])
def test_an_error_of_the_model_is_its_own(route: Callable[[FunctionalModel], None]) -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        route(model_with(lambda x: x @ torch.ones(5, 2)))


class Moving(nn.Module):
    """Keeps a mean of what it has seen, or only counts that."""

    def __init__(self, counts: bool) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("count", torch.zeros(()))
        self.counts = counts

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.counts:
            self.count += 1
        else:
            self.mean.mul_(0.9).add_(x.detach().mean(0))
        return x - self.mean


@pytest.mark.parametrize("route", [by_examples, by_capture])
def test_state_is_refused(route: Callable[[FunctionalModel], None]) -> None:
    text = (
        'the module "1.1" writes into its buffer "1.1.mean" in its forward pass, and gives '
        "something else the next time, though it is in eval(); let it do so in training only"
    )
    module = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Tanh(), Moving(counts=False)))
    with pytest.raises(GradientError, match=f"^{re.escape(text)}$"):
        route(FunctionalModel(module))
    assert module[1][1].mean.tolist() == [0.0] * 4


def test_state_without_an_effect_is_not() -> None:
    model = FunctionalModel(nn.Sequential(nn.Linear(4, 4), Moving(counts=True)))
    by_capture(model)


def test_no_hook_is_left() -> None:
    hooks = torch.nn.modules.module._global_forward_hooks
    before = dict(hooks)
    with pytest.raises(GradientError):
        by_capture(model_with(Opaque.apply))
    assert dict(hooks) == before
    assert not torch.nn.modules.module._global_forward_pre_hooks
