"""What was learnt of a few examples is not taken for granted in later batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel
from hessinf.gradients.layers import LayerCapture


def require_right(capture: LayerCapture, module: nn.Module, inputs: torch.Tensor) -> None:
    """Compare with a loop over examples, with one cotangent that leaves no example out."""
    count = len(inputs)
    batch = Batch(inputs, torch.zeros(count), torch.arange(count))
    with capture.recording(batch) as record:
        cotangents = torch.randn(1, *record.outputs.shape, dtype=torch.float64)
        found = record.pull_back(cotangents).materialize()
    parameters = dict(module.named_parameters())
    for place in range(count):
        value = (module(inputs[place : place + 1])[0] * cotangents[0, place]).sum()
        expected = torch.autograd.grad(
            value, list(parameters.values()), allow_unused=True, materialize_grads=True
        )
        for name, gradient in zip(parameters, expected, strict=True):
            torch.testing.assert_close(found[name][0, place], gradient, rtol=1e-10, atol=1e-13)


class Gated(nn.Module):
    """One of several things happens to a whole batch, or only to some of its examples."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.randn(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        chosen = x[:, :1] > 2
        base = self.first(x)
        if not bool(chosen.any()) and self.kind != "silent":
            return base
        if self.kind == "layer":  # a layer that was not called before
            return base + chosen * self.second(x)
        if self.kind == "silent":  # a layer that had no effect before
            return base + chosen * self.second(x)
        if self.kind == "unknown":  # a function that was not seen before
            return base + chosen * torch.einsum("bi,oi->bo", x, self.first.weight)
        if self.kind == "hidden":  # an effect that cannot be seen
            return base + chosen * Scaled.apply(x, self.scale)
        if self.kind == "expert":  # a layer that receives some of the examples
            places = chosen[:, 0].nonzero()[:, 0]
            return base.index_add(0, places, self.second(x[places]))
        raise AssertionError


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, scale)
        return x * scale

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, scale = ctx.saved_tensors
        return gradient * scale, (gradient * x).sum(0)


@pytest.mark.parametrize("chosen", [1, 4, 7])
@pytest.mark.parametrize(
    ("kind", "general"),
    [
        ("layer", set()),
        ("silent", set()),
        ("unknown", {"first.weight"}),
        ("hidden", {"scale"}),
        ("expert", {"second.weight", "second.bias"}),
    ],
)
def test_something_new_in_a_later_batch(kind: str, general: set[str], chosen: int) -> None:
    torch.manual_seed(1)
    module = Gated(kind).double()
    capture = LayerCapture(FunctionalModel(module))
    plain = torch.randn(8, 4, dtype=torch.float64).clamp(max=1)
    require_right(capture, module, plain)
    assert capture.general == ()
    special = plain.clone()
    special[chosen, 0] = 3
    require_right(capture, module, special)
    assert set(capture.general) == general
    require_right(capture, module, plain)
    require_right(capture, module, special[2:])
    assert set(capture.general) == general


def test_a_first_batch_of_one() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(7, 4)
            self.places = nn.Embedding(5, 4)
            self.last = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.table(x) + self.places(torch.arange(x.shape[1]))
            return self.last(x.transpose(0, 1)).tanh().sum(0)

    torch.manual_seed(1)
    module = Positions().double()
    capture = LayerCapture(FunctionalModel(module))
    inputs = torch.randint(0, 7, (6, 5))
    for places in (slice(0, 1), slice(1, 6), slice(5, 6), slice(0, 5)):
        require_right(capture, module, inputs[places])
    for length in (1, 3, 2):
        require_right(capture, module, inputs[:, :length])
    assert capture.general == ()


def test_more_steps_than_before() -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.step = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            state = torch.zeros_like(x[:, 0])
            for place in range(x.shape[1]):
                state = torch.tanh(self.step(state + x[:, place]))
            return state

    torch.manual_seed(1)
    module = Steps().double()
    capture = LayerCapture(FunctionalModel(module))
    for length in (2, 5, 3):
        require_right(capture, module, torch.randn(4, length, 4, dtype=torch.float64))
    assert [unit.name for unit in capture.units] == ["step"]
