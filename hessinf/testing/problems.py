"""Small problems in float64, whose derivatives can be written down in full.

Losses and their second derivatives in the outputs are stated anew in :mod:`hessinf.testing.losses`,
so that nothing of what is tested takes part in what it is compared with. Problems of images and of
sequences stand in files of their own; :data:`PROBLEMS` lists all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import nn

from hessinf.testing.convolutional_problem import convolutional_network
from hessinf.testing.losses import (
    CLASS_WEIGHTS,
    SMOOTHING,
    cross_entropy,
    cross_entropy_hessians,
    mean_squares,
    mean_squares_hessians,
    weighted_cross_entropy,
    weighted_cross_entropy_hessians,
)
from hessinf.testing.optimum import at_optimum, minimize, normal
from hessinf.testing.problem import Columns, Problem
from hessinf.testing.sequence_problems import language_model, transformer

__all__ = [
    "BY_NAME",
    "PROBLEMS",
    "Columns",
    "Problem",
    "convolutional_network",
    "language_model",
    "logistic_regression",
    "minimize",
    "multilayer_perceptron",
    "regression_network",
    "ridge_regression",
    "transformer",
    "weighted_classes",
]


def _linear(features: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Make a layer without touching PyTorch's own random numbers."""
    layer: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Linear, features, outputs, dtype=torch.float64
    )
    with torch.no_grad():
        layer.weight.copy_(normal(generator, outputs, features) / features**0.5)
        layer.bias.copy_(0.1 * normal(generator, outputs))
    return layer


@functools.cache
def logistic_regression() -> Problem:
    """Make a softmax regression of 3 classes: strictly convex. N = 41, Q = 6, P = 12."""
    generator = torch.Generator().manual_seed(1)
    centers = normal(generator, 3, 3)  # [C, F]

    def draw(count: int) -> Columns:
        labels = torch.randint(3, (count,), generator=generator)  # [n]
        return centers[labels] + normal(generator, count, 3), labels

    return at_optimum(
        Problem(
            name="logistic regression",
            trained=nn.Sequential(_linear(3, 3, generator)),
            train=draw(41),
            queries=draw(6),
            objective="cross-entropy",
            weight_decay=0.2,
            losses=cross_entropy,
            output_hessians=cross_entropy_hessians,
        )
    )


@functools.cache
def ridge_regression() -> Problem:
    """Make a ridge regression of 2 values: strictly convex, quadratic. N = 120, Q = 14 > P = 8."""
    generator = torch.Generator().manual_seed(2)
    slopes = normal(generator, 3, 2)  # [F, T]

    def draw(count: int) -> Columns:
        inputs = normal(generator, count, 3)  # [n, F]
        return inputs, inputs @ slopes + 0.5 * normal(generator, count, 2)

    return at_optimum(
        Problem(
            name="ridge regression",
            trained=nn.Sequential(_linear(3, 2, generator)),
            train=draw(120),
            queries=draw(14),
            objective="mean-squared-error",
            weight_decay=0.4,
            losses=mean_squares,
            output_hessians=mean_squares_hessians,
        )
    )


@functools.cache
def multilayer_perceptron() -> Problem:
    """Make a network with parts that training mode would spoil, and a bias that takes no part.

    N = 37, Q = 5. The second layer's bias has ``requires_grad=False``; batch normalization has
    statistics of its own and no parameters; one submodule is in evaluation mode, the others not.
    """
    generator = torch.Generator().manual_seed(3)
    normalization = nn.BatchNorm1d(5, affine=False, dtype=torch.float64)
    assert normalization.running_mean is not None
    assert normalization.running_var is not None
    normalization.running_mean.copy_(0.3 * normal(generator, 5))
    normalization.running_var.copy_(1 + torch.rand(5, generator=generator, dtype=torch.float64))
    module = nn.Sequential(
        _linear(4, 5, generator),
        normalization,
        nn.Tanh(),
        nn.Dropout(0.5),
        _linear(5, 3, generator),
    )
    module[4].bias.requires_grad_(False)
    module.train()
    module[2].eval()
    teacher = normal(generator, 4, 3)  # [F, C]

    def draw(count: int) -> Columns:
        inputs = normal(generator, count, 4)  # [n, F]
        noisy = inputs.sin() @ teacher + 0.5 * normal(generator, count, 3)  # [n, C]
        return inputs, noisy.argmax(dim=1)

    return at_optimum(
        Problem(
            name="multilayer perceptron",
            trained=module,
            train=draw(37),
            queries=draw(5),
            objective="cross-entropy",
            weight_decay=0.1,
            losses=cross_entropy,
            output_hessians=cross_entropy_hessians,
        )
    )


@functools.cache
def regression_network() -> Problem:
    """Make a smooth network of two hidden layers for two values. N = 29, Q = 5, P = 54."""
    generator = torch.Generator().manual_seed(7)
    module = nn.Sequential(
        _linear(3, 5, generator),
        nn.Softplus(),
        _linear(5, 4, generator),
        nn.Tanh(),
        _linear(4, 2, generator),
    )
    slopes = normal(generator, 3, 2)  # [F, T]

    def draw(count: int) -> Columns:
        inputs = normal(generator, count, 3)  # [n, F]
        values = (inputs @ slopes).sin() + 0.3 * inputs[:, :1].square()  # [n, T]
        return inputs, values + 0.3 * normal(generator, count, 2)

    return at_optimum(
        Problem(
            name="regression network",
            trained=module,
            train=draw(29),
            queries=draw(5),
            objective="mean-squared-error",
            weight_decay=0.05,
            losses=mean_squares,
            output_hessians=mean_squares_hessians,
        )
    )


@functools.cache
def weighted_classes() -> Problem:
    """Make a network trained with class weights and label smoothing. N = 25, Q = 4, P = 31.

    Its loss is no negative log-likelihood: sampled targets say nothing of its curvature.
    """
    generator = torch.Generator().manual_seed(8)
    module = nn.Sequential(_linear(3, 4, generator), nn.Tanh(), _linear(4, 3, generator))
    centers = normal(generator, 3, 3)  # [C, F]

    def draw(count: int) -> Columns:
        labels = torch.randint(3, (count,), generator=generator)  # [n]
        return centers[labels] + normal(generator, count, 3), labels

    return at_optimum(
        Problem(
            name="weighted classes",
            trained=module,
            train=draw(25),
            queries=draw(4),
            objective={
                "type": "cross-entropy",
                "weight": list(CLASS_WEIGHTS),
                "label_smoothing": SMOOTHING,
            },
            weight_decay=0.1,
            losses=weighted_cross_entropy,
            output_hessians=weighted_cross_entropy_hessians,
        )
    )


PROBLEMS: Sequence[Callable[[], Problem]] = (
    logistic_regression,
    ridge_regression,
    multilayer_perceptron,
    weighted_classes,
    regression_network,
    convolutional_network,
    transformer,
    language_model,
)
"""All of them; each is made at its first use."""

BY_NAME = {make.__name__: make for make in PROBLEMS}
"""The same, by the names of their functions."""
