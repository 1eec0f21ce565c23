"""The convolutional network."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from hessinf.models import Cnn, Model, ModelError
from hessinf.registry import ConfigError


@pytest.mark.parametrize("pooling", ["max", "average", "none"])
@pytest.mark.parametrize("batch_normalization", [True, False])
def test_outputs(pooling, batch_normalization):
    model = Cnn(
        [4, 6],
        kernel_size=5,
        pooling=pooling,
        batch_normalization=batch_normalization,
        input_shape=(3, 9, 8),
        out_features=10,
    )
    assert model.module(torch.zeros(2, 3, 9, 8)).shape == (2, 10)
    layers = [type(layer) for layer in model.module]
    assert layers.count(nn.Conv2d) == 2
    assert layers.count(nn.BatchNorm2d) == 2 * batch_normalization
    assert layers.count(nn.MaxPool2d) == 2 * (pooling == "max")
    assert layers.count(nn.AvgPool2d) == 2 * (pooling == "average")


def test_from_config():
    model = Model.from_config(
        {"type": "cnn", "channels": [2]}, in_features=64, input_shape=(1, 8, 8), out_features=10
    )
    assert list(model.module.state_dict()) == ["0.weight", "0.bias", "4.weight", "4.bias"]


@pytest.mark.parametrize(
    ("shape", "found"), [((64,), "have shape [64]"), (None, "are no single tensor")]
)
def test_inputs_that_are_no_images(shape, found):
    message = (
        'the model "cnn" needs images [channels, height, width] as inputs, and these '
        f'{found}; take a dataset reader that gives images, or the model "mlp"'
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        _ = Cnn([4], input_shape=shape, out_features=10).module


def test_images_that_are_too_small():
    message = (
        'the model "cnn" halves height and width 4 times, which leaves nothing of images of 8 x 8; '
        'take fewer channels, or pooling "none"'
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        _ = Cnn([4] * 4, input_shape=(1, 8, 8), out_features=10).module


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": []}, "channels needs one number or more, found []"),
        (
            {"channels": [2], "kernel_size": 4},
            "kernel_size has to be odd, so that height and width stay; found 4",
        ),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        Model.from_config({"type": "cnn", **arguments})
