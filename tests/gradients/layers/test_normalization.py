"""Normalisations, and scales and shifts in general."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

NORMALIZATIONS = {
    "layer-norm": lambda z: (nn.Linear(4, 3), nn.LayerNorm(3), z.rows(6, 4)),
    "layer-norm-without-bias": lambda z: (
        nn.Linear(4, 3),
        nn.LayerNorm(3, bias=False),
        z.rows(4),
    ),
    "layer-norm-of-a-grid": lambda z: (nn.Linear(4, 3), nn.LayerNorm((6, 3)), z.rows(2, 6, 4)),
    "rms-norm": lambda z: (nn.Linear(4, 3), nn.RMSNorm(3), z.rows(6, 4)),
    "group-norm": lambda z: (nn.Conv2d(2, 6, 3), nn.GroupNorm(3, 6), z.rows(2, 5, 5)),
    "batch-norm-of-vectors": lambda z: (nn.Linear(4, 3), nn.BatchNorm1d(3), z.rows(4)),
    "batch-norm-1d": lambda z: (nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), z.rows(2, 6)),
    "batch-norm-2d": lambda z: (nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), z.rows(2, 5, 5)),
    "batch-norm-3d": lambda z: (nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3), z.rows(2, 3, 3, 3)),
    "instance-norm": lambda z: (
        nn.Conv2d(2, 3, 3),
        nn.InstanceNorm2d(3, affine=True),
        z.rows(2, 5, 5),
    ),
    "instance-norm-by-running-statistics": lambda z: (
        nn.Conv1d(2, 3, 3),
        nn.InstanceNorm1d(3, affine=True, track_running_stats=True),
        z.rows(2, 6),
    ),
}


def add_to_inputs(m: Any, x: torch.Tensor) -> torch.Tensor:
    x = x.clone()
    x.add_(m.a, alpha=2)
    x += m.a
    return m.last(x.tanh())


def add_to_columns(m: Any, x: torch.Tensor) -> torch.Tensor:
    x = x.clone()
    x[:, :2] += m.a
    return m.last(x.tanh())


def after(build: Any) -> Any:
    def built(z: Any) -> tuple[nn.Module, Any]:
        before, norm, inputs = build(z)
        return nn.Sequential(before, z.randomized(norm), nn.Tanh()), inputs

    return built


KINDS = {name: after(build) for name, build in NORMALIZATIONS.items()} | {
    "half-frozen": lambda z: (
        nn.Sequential(
            nn.Linear(4, 3), z.randomized(nn.LayerNorm(3)).requires_grad_(False), nn.Tanh()
        ),
        z.rows(4),
    ),
    "rms-norm-by-hand": lambda z: (
        z.of(
            lambda m, x: m.a(x * torch.rsqrt(x.square().mean(-1, keepdim=True)) * (1 + m.scale)),
            a=nn.Linear(4, 3),
            scale=z.parameter(4),
        ),
        z.rows(6, 4),
    ),
    "arithmetic": lambda z: (
        z.of(
            lambda m, x: (
                (m.a - m.b * m.layer(x) / m.c + m.layer(x) - m.d) * m.e.exp() + 2 * m.f * m.b
            ),
            layer=nn.Linear(4, 3),
            a=z.parameter(1, 1),
            b=z.parameter(6, 1),
            c=nn.Parameter(torch.rand(3) + 1),
            d=z.parameter(3),
            e=z.parameter(),
            f=z.parameter(6, 3),
        ),
        z.rows(6, 4),
    ),
    "scaled-sums": lambda z: (
        z.of(
            lambda m, x: torch.add(m.layer(x), m.a, alpha=3).sub(m.a, alpha=2) - (1 - m.a),
            layer=nn.Linear(4, 3),
            a=z.parameter(3),
        ),
        z.rows(6, 4),
    ),
    "added-in-place": lambda z: (
        z.of(
            lambda m, x: m.last(torch.tanh(m.layer(x).add_(m.a))),
            layer=nn.Linear(4, 3),
            a=z.parameter(3),
            last=nn.Linear(3, 2),
        ),
        z.rows(4),
    ),
    "inputs-added-to-in-place": lambda z: (
        z.of(add_to_inputs, a=z.parameter(4), last=nn.Linear(4, 3)),
        z.rows(4),
    ),
    "columns-added-to-in-place": lambda z: (
        z.of(add_to_columns, a=z.parameter(2), last=nn.Linear(4, 3)),
        z.rows(4),
    ),
    "multiplied-in-place": lambda z: (
        z.of(
            lambda m, x: m.last(torch.tanh(m.layer(x).mul_(m.a))),
            layer=nn.Linear(4, 3),
            a=z.parameter(3),
            last=nn.Linear(3, 2),
        ),
        z.rows(4),
    ),
}

GENERAL = {"multiplied-in-place": ("a",), "columns-added-to-in-place": ("a",)}


def test_gradients(kind: Any, device: str, check: Any) -> None:
    check.gradients(kind, device)


def test_uneven_batches(kind: Any, check: Any) -> None:
    check.uneven_batches(kind)


def test_factors(kind: Any, check: Any) -> None:
    check.factors(kind)


def test_float32(kind: Any, check: Any) -> None:
    check.float32(kind)
