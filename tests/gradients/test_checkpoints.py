"""Checkpoints are switched off while derivatives are taken, and on again afterwards."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.utils.checkpoint as checkpointing
from torch import nn

from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel, HessianProducts
from hessinf.gradients.checkpoints import GENERATOR, without_checkpoints
from hessinf.models import MeanSquaredError


def places() -> tuple[object, bool]:
    return vars(checkpointing)[GENERATOR], "apply" in vars(checkpointing.CheckpointFunction)


@pytest.mark.parametrize("reentrant", [True, False])
def test_nothing_is_run_twice(reentrant: bool) -> None:
    runs = []

    def square(x: torch.Tensor) -> torch.Tensor:
        runs.append(1)
        return x * x

    x = torch.ones(2, requires_grad=True)
    with without_checkpoints():
        y = checkpointing.checkpoint(square, x, use_reentrant=reentrant)
    (gradient,) = torch.autograd.grad(y.sum(), x)  # raised where it is reentrant
    assert gradient.tolist() == [2.0, 2.0]
    assert len(runs) == 1
    y = checkpointing.checkpoint(square, x, use_reentrant=reentrant)
    y.sum().backward()
    assert len(runs) == 3


def test_all_is_as_before_also_after_an_error_and_when_nested() -> None:
    before = places()
    found = []

    def fail() -> None:
        with without_checkpoints():
            with without_checkpoints():
                found.append(places())
            found.append(places())
            raise ValueError("once")

    with pytest.raises(ValueError, match="once"):
        fail()
    assert len(found) == 2
    assert before not in found
    assert places() == before


class Block(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        self.reentrant = reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return checkpointing.checkpoint(self.inner, x, use_reentrant=self.reentrant)


@pytest.mark.parametrize("reentrant", [True, False])
def test_products_with_the_hessian(reentrant: bool) -> None:
    torch.manual_seed(0)
    module = Block(reentrant).double()
    batch = Batch(torch.randn(5, 3).double(), torch.randn(5, 2).double(), torch.arange(5))
    vectors = torch.randn(3, sum(p.numel() for p in module.parameters())).double()
    found = HessianProducts(FunctionalModel(module), MeanSquaredError(), [batch]).products(vectors)
    plain = FunctionalModel(copy.deepcopy(module.inner))
    expected = HessianProducts(plain, MeanSquaredError(), [batch]).products(vectors)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
