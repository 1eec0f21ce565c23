"""The multilayer perceptron."""

from __future__ import annotations

import typing

import pytest
import torch
from torch import nn

from hessinf.models import Mlp, Model
from hessinf.models.activation import Activation
from hessinf.models.networks import ACTIVATIONS
from hessinf.registry import ConfigError


def test_initial_weights_are_those_of_plain_pytorch():
    model = Mlp([8], activation="tanh", in_features=2, out_features=1, seed=42)
    torch.manual_seed(42)
    plain = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    state, expected = model.module.state_dict(), plain.state_dict()
    assert list(state) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    inputs = torch.randn(5, 2)
    assert torch.equal(model.module(inputs), plain(inputs))


def test_inputs_are_flattened():
    model = Mlp([8], input_shape=(1, 4, 4), out_features=3)
    assert model.module(torch.zeros(5, 1, 4, 4)).shape == (5, 3)


def test_every_activation_has_a_module():
    assert set(typing.get_args(Activation)) == set(ACTIVATIONS)


@pytest.mark.parametrize("activation", typing.get_args(Activation))
def test_activations(activation):
    model = Mlp([3], activation=activation, in_features=2, out_features=1)
    assert type(model.module[1]) is ACTIVATIONS[activation]
    assert bool(model.module(torch.ones(1, 2)).isfinite().all())


def test_without_bias():
    model = Mlp([3, 3], bias=False, in_features=2, out_features=1)
    assert list(model.module.state_dict()) == ["0.weight", "2.weight", "4.weight"]


def test_from_config():
    config = {"type": "mlp", "hidden_sizes": [64, 32], "activation": "gelu", "dtype": "float64"}
    model = Model.from_config(config, in_features=64, out_features=10, input_shape=(64,), seed=0)
    assert model.module(torch.zeros(2, 64, dtype=torch.float64)).shape == (2, 10)


@pytest.mark.parametrize(
    "config", [{"hidden_sizes": [0]}, {"hidden_sizes": [4], "activation": "swish"}]
)
def test_wrong_arguments(config):
    with pytest.raises(ConfigError, match=r"hidden_sizes\.0|activation"):
        Model.from_config({"type": "mlp", **config})
