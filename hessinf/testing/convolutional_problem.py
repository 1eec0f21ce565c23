"""A convolutional network in which groups, padding mode, stride and evaluation mode matter."""

from __future__ import annotations

import functools

import torch
from torch import nn

from hessinf.testing.losses import cross_entropy, cross_entropy_hessians
from hessinf.testing.optimum import at_optimum, draw_parameters, normal
from hessinf.testing.problem import Columns, Problem


@functools.cache
def convolutional_network() -> Problem:
    """Make a network of a reflect-padded and a grouped, strided convolution. N = 23, Q = 4.

    Batch normalization has running statistics unlike those of the data, and a scale and shift that
    are trained; it stands in training mode, as a caller may leave it. The second convolution has no
    bias. P = 207.
    """
    generator = torch.Generator().manual_seed(4)
    with torch.random.fork_rng(devices=[]):
        module = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"),
            nn.BatchNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 6, 2, stride=2, groups=2, bias=False),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(24, 3),
        )
    draw_parameters(module, generator)
    shapes = normal(generator, 3, 2, 5, 5)  # [C, channels, height, width]

    def draw(count: int) -> Columns:
        labels = torch.randint(3, (count,), generator=generator)  # [n]
        return 0.4 * shapes[labels] + normal(generator, count, 2, 5, 5), labels

    return at_optimum(
        Problem(
            name="convolutional network",
            trained=module,
            train=draw(23),
            queries=draw(4),
            objective="cross-entropy",
            weight_decay=0.05,
            losses=cross_entropy,
            output_hessians=cross_entropy_hessians,
            frozen=(r"^1\.", r"^0\.bias$"),
        )
    )
