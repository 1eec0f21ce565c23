"""Layers that nobody knows go the general route, and only they."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Cube(torch.autograd.Function):
    """Scales cubes by a parameter, where nothing can be seen."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, scale)
        return x**3 * scale

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, scale = ctx.saved_tensors
        return 3 * x**2 * scale * gradient, (gradient * x**3).sum()


def rows_of_one(m: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.stack([m.a(row) if row.sum() > 0 else torch.tanh(m.b(row)) for row in x])


def looked_up_where_written(m: Any, x: torch.Tensor) -> torch.Tensor:
    places = torch.zeros(x.shape[:2], dtype=torch.int64)
    places[:] = x.sum(-1).abs().long().clamp(max=8)
    return m.a(x + m.p(places))


KINDS = {
    "lstm": lambda z: (
        z.of(
            lambda m, x: m.last(m.recurrent(x)[0]),
            recurrent=nn.LSTM(4, 3, batch_first=True),
            last=nn.Linear(3, 2),
        ),
        z.rows(6, 4),
    ),
    "bilinear": lambda z: (
        z.of(lambda m, x: m.b(x, m.a(x)), a=nn.Linear(4, 3), b=nn.Bilinear(4, 3, 2)),
        z.rows(4),
    ),
    "prelu": lambda z: (nn.Sequential(nn.Linear(4, 3), nn.PReLU(), nn.Linear(3, 2)), z.rows(4)),
    "transposed-convolution": lambda z: (
        nn.Sequential(nn.Conv1d(2, 3, 2), nn.ConvTranspose1d(3, 2, 2), nn.Flatten()),
        z.rows(2, 5),
    ),
    "einsum": lambda z: (
        z.of(
            lambda m, x: torch.einsum("bi,io->bo", m.a(x), m.w),
            a=nn.Linear(4, 3),
            w=z.parameter(3, 2),
        ),
        z.rows(4),
    ),
    "seen-twice": lambda z: (
        z.of(
            lambda m, x: m.a(x) + torch.einsum("bi,oi->bo", x, m.a.weight),
            a=nn.Linear(4, 3),
        ),
        z.rows(4),
    ),
    "hidden": lambda z: (
        z.of(lambda m, x: Cube.apply(m.a(x), m.scale), a=nn.Linear(4, 3), scale=z.parameter()),
        z.rows(4),
    ),
    "scripted": lambda z: (
        nn.Sequential(
            nn.Linear(4, 3), torch.jit.script(nn.Sequential(nn.Tanh(), nn.Linear(3, 3)).double())
        ),
        z.rows(4),
    ),
    "vmap": lambda z: (
        z.of(lambda m, x: torch.func.vmap(m.a)(x) + m.b(x), a=nn.Linear(4, 3), b=nn.Linear(4, 3)),
        z.rows(4),
    ),
    "written-table-of-positions": lambda z: (
        z.of(looked_up_where_written, p=nn.Embedding(9, 4), a=nn.Linear(4, 3)),
        z.rows(3, 4),
    ),
    "branches": lambda z: (z.of(rows_of_one, a=nn.Linear(4, 3), b=nn.Linear(4, 3)), z.rows(4)),
    "rows-of-the-batch": lambda z: (
        z.of(
            lambda m, x: (
                m.a(x) + m.p.expand(len(x), 2, 3)[:, 0] + (m.q[:, None] * m.a.weight).sum(1)
            ),
            a=nn.Linear(4, 3),
            p=z.parameter(2, 3),
            q=z.parameter(3),
        ),
        z.rows(4),
    ),
}

GENERAL = {
    "lstm": tuple(f"recurrent.{n}_l0" for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
    "bilinear": ("b.weight", "b.bias"),
    "prelu": ("1.weight",),
    "transposed-convolution": ("1.weight", "1.bias"),
    "einsum": ("w",),
    "seen-twice": ("a.weight",),
    "hidden": ("scale",),
    "scripted": ("1.1.weight", "1.1.bias"),
    "vmap": ("a.weight", "a.bias"),
    "branches": ("a.weight", "a.bias", "b.weight", "b.bias"),
}


def test_gradients(kind: Any, check: Any) -> None:
    check.gradients(kind, "cpu")


def test_uneven_batches(kind: Any, check: Any) -> None:
    check.uneven_batches(kind)


def test_factors(kind: Any, check: Any) -> None:
    check.factors(kind)
