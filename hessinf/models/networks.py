"""The networks behind the registered models, in plain PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "leaky-relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}
"""Activation modules by the names of :data:`hessinf.models.activation.Activation`."""

POOLINGS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


class FlatSequential(nn.Sequential):
    """Layers one after the other, on inputs that are flattened to ``[B, features]`` first.

    Flattening is no layer of its own, so that parameters are called ``0.weight``, ``0.bias``, ...
    as in a plain ``nn.Sequential``.
    """

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Compute ``[B, out_features]`` from ``[B, ...]``."""
        outputs: torch.Tensor = super().forward(inputs.flatten(1))  # type: ignore[no-untyped-call]
        return outputs


def multilayer_perceptron(
    in_features: int, hidden_sizes: Sequence[int], out_features: int, activation: str, *, bias: bool
) -> nn.Sequential:
    """Make linear layers with an activation between each two.

    Parameters
    ----------
    in_features, out_features
        The numbers of inputs and outputs.
    hidden_sizes
        The width of every hidden layer; none gives one linear layer.
    activation
        A key of :data:`ACTIVATIONS`.
    bias
        Whether linear layers add a bias.
    """
    sizes = [in_features, *hidden_sizes]
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after, bias=bias), ACTIVATIONS[activation]()]
    return FlatSequential(*layers, nn.Linear(sizes[-1], out_features, bias=bias))


def convolutional_network(
    input_shape: tuple[int, int, int],
    channels: Sequence[int],
    out_features: int,
    *,
    kernel_size: int,
    activation: str,
    pooling: str,
    batch_normalization: bool,
) -> nn.Sequential:
    """Make blocks of convolution, normalization, activation and pooling, and a linear layer.

    Parameters
    ----------
    input_shape
        ``[channels, height, width]`` of one input.
    channels
        The output channels of every block.
    out_features
        The number of outputs.
    kernel_size
        The width of the convolutions, which are padded by half of it.
    activation
        A key of :data:`ACTIVATIONS`.
    pooling
        A key of :data:`POOLINGS`, which halves height and width, or ``"none"``.
    batch_normalization
        Whether every convolution is followed by batch normalization.
    """
    before, height, width = input_shape
    layers: list[nn.Module] = []
    for after in channels:
        layers.append(nn.Conv2d(before, after, kernel_size, padding=kernel_size // 2))
        if batch_normalization:
            layers.append(nn.BatchNorm2d(after))
        layers.append(ACTIVATIONS[activation]())
        if pooling != "none":
            layers.append(POOLINGS[pooling](2))
            height, width = height // 2, width // 2
        before = after
    layers += [nn.Flatten(), nn.Linear(before * height * width, out_features)]
    return nn.Sequential(*layers)
