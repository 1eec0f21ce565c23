"""Modes, gradients and random numbers are left as they were found."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hessinf.training.module_state import copied, gradients_kept, mode, random_numbers_from


def test_mode_of_every_layer():
    module = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout())
    module[0].eval()
    with mode(module, training=True):
        assert module[0].training
    with mode(module, training=False):
        assert not module[1].training
    assert [layer.training for layer in module.modules()] == [True, False, True]


def test_gradients():
    module = nn.Linear(2, 1)
    kept = torch.ones(1, 2)
    module.weight.grad = kept
    with gradients_kept(module):
        module.weight.grad = torch.zeros(1, 2)
        module.bias.grad = torch.zeros(1)
    assert module.weight.grad is kept
    assert module.bias.grad is None


def test_random_numbers():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    drawn = []
    for seed in (0, 0, 1):
        with random_numbers_from(seed, torch.device("cpu")):
            drawn.append(torch.rand(4).tolist())
    assert drawn[0] == drawn[1] != drawn[2]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_everything_is_put_back_after_an_error():
    module = nn.Linear(2, 1)
    before = torch.random.get_rng_state()

    def fail() -> None:
        device = torch.device("cpu")
        with mode(module, training=False), gradients_kept(module), random_numbers_from(0, device):
            module.weight.grad = torch.rand(1, 2)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert module.training
    assert module.weight.grad is None
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_copy_of_a_module_that_keeps_activations():
    module = nn.Linear(2, 1)
    module.hidden = module(torch.ones(1, 2))
    again = copied(module)
    assert again.hidden is not module.hidden
    assert not again.hidden.requires_grad
    assert torch.equal(again.weight, module.weight)
    assert again.weight is not module.weight
    assert module.hidden.requires_grad
