"""Chains of linear layers: the same as by ``torch.vmap``, and only where they are chains."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from hessinf.models.networks import ACTIVATIONS, FlatSequential
from hessinf.training.stacked_chain import chain_of
from hessinf.training.stacked_networks import StackedNetworks


def stack(build: Callable[[], nn.Module], number: int = 3) -> StackedNetworks:
    torch.manual_seed(0)
    modules = (build().double() for _ in range(number))
    return StackedNetworks(modules, number, torch.device("cpu"))


def without_chain(networks: StackedNetworks) -> StackedNetworks:
    networks._chain = None
    return networks


def shared_layer() -> nn.Module:
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(4, 2, bias=False))


def frozen_layers() -> nn.Module:
    same = nn.Linear(4, 4).requires_grad_(False)
    nn.init.ones_(same.weight)
    nn.init.zeros_(same.bias)
    return nn.Sequential(
        same, nn.ReLU(), nn.Linear(4, 4).requires_grad_(False), nn.GELU(), nn.Linear(4, 2)
    )


CHAINS = {
    name: lambda kind=kind: nn.Sequential(nn.Linear(4, 5), kind(), nn.Linear(5, 2, bias=False))
    for name, kind in ACTIVATIONS.items()
} | {
    "flat": lambda: FlatSequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)),
    "linear": lambda: nn.Sequential(nn.Linear(4, 2)),
    "shared": shared_layer,
    "frozen": frozen_layers,
}


@pytest.mark.parametrize("name", CHAINS)
def test_outputs_and_gradients(name):
    build = CHAINS[name]
    shape = (2, 2) if name == "flat" else (4,)
    own, shared = (torch.randn(*first, 6, *shape, dtype=torch.float64) for first in ((3,), ()))
    results = []
    for networks in (stack(build), without_chain(stack(build))):
        outputs = [networks.outputs_of_each(own), networks.outputs_of_all(shared)]
        loss = sum((output**3).sum() for output in outputs)
        results.append([*outputs, *torch.autograd.grad(loss, list(networks.trained.values()))])
    assert stack(build)._chain is not None
    for chained, mapped in zip(*results, strict=True):
        torch.testing.assert_close(chained, mapped, rtol=1e-12, atol=1e-12)


def test_inputs_with_positions():
    inputs = torch.randn(3, 6, 7, 4, dtype=torch.float64)  # [M, B, positions, features]
    found = stack(CHAINS["tanh"]).outputs_of_each(inputs)
    assert found.shape == (3, 6, 7, 2)
    torch.testing.assert_close(
        found[:, :, 3], stack(CHAINS["tanh"]).outputs_of_each(inputs[:, :, 3])
    )


class Doubled(nn.Linear):
    """A linear layer with another forward pass."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(inputs)


class Other(nn.Sequential):
    """A sequence with another forward pass."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return -super().forward(inputs)


def hooked(on_layer: bool) -> nn.Module:
    module = nn.Sequential(nn.Linear(4, 2))
    (module[0] if on_layer else module).register_forward_hook(lambda _, __, output: output + 1)
    return module


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(4, 2),
        nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)),
        nn.Sequential(nn.Linear(4, 4), nn.Softmax(-1)),
        nn.Sequential(nn.Sequential(nn.Linear(4, 4))),
        nn.Sequential(Doubled(4, 2)),
        Other(nn.Linear(4, 2)),
        hooked(True),
        hooked(False),
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))),
    ],
    ids=str,
)
def test_what_is_no_chain(module):
    assert chain_of(module) is None
