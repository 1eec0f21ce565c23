"""Linear layers, in all their spellings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint


class TransposedLinear(nn.Module):
    """As transformers' ``Conv1D``: the weight lies as [in, out]."""

    def __init__(self, out_features: int, in_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_features, out_features))
        self.bias = nn.Parameter(torch.randn(out_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = (*x.shape[:-1], self.weight.shape[1])
        return torch.addmm(self.bias, x.view(-1, x.shape[-1]), self.weight).view(size)


class Checkpointed(nn.Module):
    """A block that runs again in the backward pass; its first inputs have no gradient."""

    plain = False

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 4))
        self.last = nn.Linear(4, 3)
        self.reentrant = reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(2):
            if self.plain:
                x = self.block(x)
            else:
                x = checkpoint(self.block, x, use_reentrant=self.reentrant)
        return self.last(x)


def two() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3))


def frozen(name: str) -> nn.Module:
    module = two()
    module.get_parameter(name).requires_grad_(False)
    return module


def normalized(normalize: Callable[[nn.Module], Any]) -> nn.Module:
    module = two()
    normalize(module[0])
    return module


def steps(m: Any, x: torch.Tensor) -> torch.Tensor:
    state = torch.zeros_like(x[:, 0])
    for place in range(x.shape[1]):
        state = torch.tanh(m.step(x[:, place]) + m.back(state))
    return m.last(state)


KINDS = {
    "linear": lambda z: (nn.Linear(4, 3), z.rows(4)),
    "without-bias": lambda z: (nn.Linear(4, 3, bias=False), z.rows(4)),
    "activations-in-place": lambda z: (
        nn.Sequential(
            nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 4), nn.SiLU(True), nn.Linear(4, 3)
        ),
        z.rows(4),
    ),
    "positions": lambda z: (two(), z.rows(6, 4)),
    "grid": lambda z: (two(), z.rows(2, 3, 4)),
    "as-many-positions-as-examples": lambda z: (two(), z.rows(z.count, 4)),
    "frozen-weight": lambda z: (frozen("0.weight"), z.rows(4)),
    "frozen-bias": lambda z: (frozen("2.bias"), z.rows(4)),
    "positions-first": lambda z: (
        z.of(lambda m, x: m.a(torch.tanh(m.a(x.transpose(0, 1)))).sum(0), a=nn.Linear(4, 4)),
        z.rows(6, 4),
    ),
    "flattened": lambda z: (
        z.of(lambda m, x: m.a(x.flatten(0, 1)).reshape(len(x), -1), a=nn.Linear(4, 3)),
        z.rows(6, 4),
    ),
    "flattened-positions-first": lambda z: (
        z.of(
            lambda m, x: m.a(x.transpose(0, 1).flatten(0, 1)).reshape(6, -1, 3).sum(0),
            a=nn.Linear(4, 3),
        ),
        z.rows(6, 4),
    ),
    "one-position-counts": lambda z: (
        z.of(lambda m, x: m.b(m.a(x).tanh()[:, 0]), a=nn.Linear(4, 3), b=nn.Linear(3, 2)),
        z.rows(6, 4),
    ),
    "transposed": lambda z: (
        nn.Sequential(TransposedLinear(5, 4), nn.Tanh(), TransposedLinear(3, 5)),
        z.rows(6, 4),
    ),
    "square-transposed": lambda z: (
        nn.Sequential(TransposedLinear(4, 4), nn.Tanh(), TransposedLinear(4, 4)),
        z.rows(6, 4),
    ),
    "raw-matrices": lambda z: (
        z.of(
            lambda m, x: torch.matmul(torch.tanh(x @ m.a + m.c), m.b.t()) + m.d,
            a=z.parameter(4, 5),
            b=z.parameter(3, 5),
            c=z.parameter(5),
            d=z.parameter(3),
        ),
        z.rows(6, 4),
    ),
    "rows-of-a-packed-matrix": lambda z: (
        z.of(
            lambda m, x: (
                functional.linear(x, m.w[:2]) * functional.linear(x, m.w[2:4]).sigmoid()
                + functional.linear(x, m.w[4:], m.b[:2])
            ),
            w=z.parameter(6, 4),
            b=z.parameter(3),
        ),
        z.rows(4),
    ),
    "reused": lambda z: (
        z.of(lambda m, x: m.a(torch.tanh(m.a(torch.tanh(m.a(x))))), a=nn.Linear(4, 4)),
        z.rows(4),
    ),
    "steps": lambda z: (
        z.of(steps, step=nn.Linear(4, 4), back=nn.Linear(4, 4, False), last=nn.Linear(4, 3)),
        z.rows(3, 4),
    ),
    "partly-under-no-grad": lambda z: (
        z.of(
            lambda m, x: m.b(torch.no_grad()(m.a)(x)) + m.a(x).detach() + m.c(x),
            a=nn.Linear(4, 4),
            b=nn.Linear(4, 4),
            c=nn.Linear(4, 4),
        ),
        z.rows(4),
    ),
    "checkpoint": lambda z: (Checkpointed(reentrant=False), z.rows(4)),
    "reentrant-checkpoint": lambda z: (Checkpointed(reentrant=True), z.rows(4)),
    "weight-norm": lambda z: (normalized(parametrizations.weight_norm), z.rows(4)),
    "weight-norm-as-a-hook": lambda z: (normalized(torch.nn.utils.weight_norm), z.rows(4)),
    "spectral-norm": lambda z: (normalized(parametrizations.spectral_norm), z.rows(4)),
    "dict-of-inputs": lambda z: (
        z.of(lambda m, one, other: m.a(one) * m.b(other), a=nn.Linear(4, 3), b=nn.Linear(2, 3)),
        {"one": z.rows(4), "other": z.rows(2)},
    ),
}


def test_gradients(kind: Any, device: str, check: Any) -> None:
    check.gradients(kind, device)


def test_uneven_batches(kind: Any, check: Any) -> None:
    check.uneven_batches(kind)


def test_factors(kind: Any, check: Any) -> None:
    check.factors(kind)


def test_float32(kind: Any, check: Any) -> None:
    check.float32(kind)
