"""Networks side by side."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from hessinf.training.errors import ObstacleError
from hessinf.training.stacked_networks import StackedNetworks, kept_state

CPU = torch.device("cpu")


def networks(number: int = 3) -> tuple[list[nn.Module], StackedNetworks]:
    torch.manual_seed(0)
    modules = [nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 2)) for _ in range(number)]
    for module in modules:
        module[2].weight.requires_grad_(False)
        module[2].bias.requires_grad_(False).fill_(1.0)
    return modules, StackedNetworks(iter(modules), number, CPU)


def test_what_is_trained_what_is_own_and_what_is_shared():
    _, stack = networks()
    assert {name: list(value.shape) for name, value in stack.trained.items()} == {
        "0.weight": [3, 2, 3],
        "0.bias": [3, 2],
    }
    assert {name: list(value.shape) for name, value in stack.own.items()} == {"2.weight": [3, 2, 2]}
    assert {name: list(value.shape) for name, value in stack.shared.items()} == {"2.bias": [2]}
    assert all(value.requires_grad for value in stack.trained.values())


def test_outputs():
    modules, stack = networks()
    shared, own = torch.randn(5, 3), torch.randn(3, 5, 3)
    with torch.no_grad():
        torch.testing.assert_close(
            stack.outputs_of_all(shared), torch.stack([module(shared) for module in modules])
        )
        expected = [module(inputs) for module, inputs in zip(modules, own, strict=True)]
        torch.testing.assert_close(stack.outputs_of_each(own), torch.stack(expected))


def test_the_modules_are_not_touched():
    modules, stack = networks()
    before = modules[0][0].weight.clone()
    with torch.no_grad():
        stack.trained["0.weight"].zero_()
        stack.shared["2.bias"].zero_()
    assert torch.equal(modules[0][0].weight, before)
    assert modules[0][2].bias.tolist() == [1.0, 1.0]


def test_a_module_again():
    modules, stack = networks()
    again = stack.make_module(2)
    assert again.state_dict().keys() == modules[2].state_dict().keys()
    for name, value in modules[2].state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    assert [value.requires_grad for value in again.parameters()] == [True, True, False, False]


def test_some_are_kept():
    modules, stack = networks()
    optimizer = torch.optim.Adam(list(stack.trained.values()))
    for value in stack.trained.values():
        value.grad = torch.randn_like(value)
    optimizer.step()
    moments = {name: optimizer.state[x]["exp_avg"].clone() for name, x in stack.trained.items()}
    trained = {name: value.detach().clone() for name, value in stack.trained.items()}
    kept_state(optimizer, [2, 0])
    stack.keep([2, 0])
    assert stack.number == 2
    for name, value in stack.trained.items():
        assert torch.equal(value, trained[name][[2, 0]])
        state = optimizer.state[value]
        assert torch.equal(state["exp_avg"], moments[name][[2, 0]])
        assert float(state["step"]) == 1
        assert value.grad is None
    assert torch.equal(stack.make_module(0)[2].weight, modules[2][2].weight)
    inputs = torch.randn(2, 4, 3)
    stack.outputs_of_each(inputs).sum().backward()
    optimizer.step()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            nn.Linear(3, 2, bias=False),
            "models have other parameters or buffers than the first of them",
        ),
        (
            nn.Linear(4, 2),
            '"weight" is float32 [2, 4] in one model and float32 [2, 3] in the first',
        ),
        (
            nn.Linear(3, 2).double(),
            '"weight" is float64 [2, 3] in one model and float32 [2, 3] in the first',
        ),
    ],
)
def test_other_kinds_of_models(other, message):
    with pytest.raises(ObstacleError, match=f"^{re.escape(message)}$"):
        StackedNetworks([nn.Linear(3, 2), other], 2, CPU)
