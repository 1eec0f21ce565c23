"""Convolutions: groups, strides, dilations and all ways to pad."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

LAYERS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def convolution(
    dimensions: int, size: int = 7, channels: tuple[int, int] = (2, 4), **options: Any
) -> Callable[[Any], tuple[nn.Module, Any]]:
    layer = LAYERS[dimensions]

    def build(z: Any) -> tuple[nn.Module, Any]:
        module = nn.Sequential(
            layer(*channels, **{"kernel_size": 3, **options}),
            nn.Tanh(),
            layer(channels[1], 4, kernel_size=2, groups=2),
            nn.Flatten(),
        )
        return module, z.rows(channels[0], *(size, 5, 4)[:dimensions])

    return build


KINDS = {
    **{
        f"conv{d}d-{mode}": convolution(d, padding=(2, 1, 1)[:d], padding_mode=mode)
        for d in (1, 2, 3)
        for mode in ("zeros", "reflect", "replicate", "circular")
    },
    **{
        f"conv{d}d-strided": convolution(d, stride=(2, 1, 3)[:d], padding=1, bias=False)
        for d in (1, 2, 3)
    },
    **{
        f"conv{d}d-dilated": convolution(d, size=9, dilation=(2, 1, 1)[:d], padding=1)
        for d in (1, 2, 3)
    },
    **{
        f"conv{d}d-same": convolution(d, kernel_size=(4, 3, 2)[:d], padding="same", dilation=2)
        for d in (1, 2, 3)
    },
    "conv2d-valid": convolution(2, padding="valid"),
    "conv2d-same-circular": convolution(
        2, kernel_size=(4, 3), padding="same", padding_mode="circular"
    ),
    "conv1d-groups": convolution(1, channels=(4, 6), groups=2),
    "conv2d-groups": convolution(2, channels=(4, 6), groups=2, stride=2, padding=1),
    "conv3d-groups": convolution(3, channels=(4, 8), groups=4, bias=False),
    "conv2d-depthwise": convolution(
        2, channels=(4, 8), groups=4, padding=1, padding_mode="reflect"
    ),
    "frames": lambda z: (
        z.of(
            lambda m, x: m.a(x.flatten(0, 1)).reshape(len(x), -1),
            a=nn.Conv2d(2, 4, 3, padding=1, groups=2),
        ),
        z.rows(3, 2, 4, 4),
    ),
    "without-a-batch": lambda z: (
        z.of(lambda m, x: torch.stack([m.a(row) for row in x]).flatten(1), a=nn.Conv1d(2, 3, 3)),
        z.rows(2, 5),
    ),
}

GENERAL = {"without-a-batch": ("a.weight", "a.bias")}


def test_gradients(kind: Any, device: str, check: Any) -> None:
    check.gradients(kind, device)


def test_uneven_batches(kind: Any, check: Any) -> None:
    check.uneven_batches(kind)


def test_factors(kind: Any, check: Any) -> None:
    check.factors(kind)


def test_float32(kind: Any, check: Any) -> None:
    check.float32(kind)
