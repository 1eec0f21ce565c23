"""Embeddings: padding, tied weights, positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel, PerExampleGradients
from hessinf.models import CrossEntropy


def looked_up(table: nn.Module) -> nn.Module:
    return nn.Sequential(table, nn.Tanh(), nn.Linear(4, 3))


KINDS = {
    "embedding": lambda z: (looked_up(nn.Embedding(7, 4)), z.ids()),
    "one-id": lambda z: (looked_up(nn.Embedding(7, 4)), z.ids()[:, 0]),
    "padding": lambda z: (looked_up(nn.Embedding(7, 4, padding_idx=2)), z.ids()),
    "padding-from-the-end": lambda z: (looked_up(nn.Embedding(7, 4, padding_idx=-3)), z.ids()),
    "by-frequency": lambda z: (looked_up(nn.Embedding(7, 4, scale_grad_by_freq=True)), z.ids()),
    "rows-of-a-parameter": lambda z: (
        z.of(lambda m, x: torch.tanh(m.table[x]).sum(1), table=z.parameter(7, 4)),
        z.ids() - 3,
    ),
    "bag": lambda z: (nn.Sequential(nn.EmbeddingBag(7, 4), nn.Linear(4, 3)), z.ids()),
    "tied": lambda z: (
        z.of(
            lambda m, x: functional.linear(m.mix(m.e(x)), m.e.weight),
            e=nn.Embedding(7, 4, padding_idx=1),
            mix=nn.Linear(4, 4),
        ),
        z.ids(),
    ),
    "tied-with-a-bias": lambda z: (
        z.of(
            lambda m, x: functional.linear(m.mix(m.e(x)), m.e.weight, m.b),
            e=nn.Embedding(7, 4),
            mix=nn.Linear(4, 4),
            b=z.parameter(7),
        ),
        z.ids(),
    ),
    "tied-with-two-biases": lambda z: (
        z.of(
            lambda m, x: (
                functional.linear(m.e(x), m.e.weight, m.a)
                + functional.linear(m.e(x).tanh(), m.e.weight, m.b)
            ),
            e=nn.Embedding(7, 4),
            a=z.parameter(7),
            b=z.parameter(7),
        ),
        z.ids(),
    ),
    "positions": lambda z: (
        z.of(
            lambda m, x: m.last(
                torch.tanh(m.e(x) + m.p(torch.arange(x.shape[1], device=x.device)) + m.q)
            ),
            e=nn.Embedding(7, 4),
            p=nn.Embedding(9, 4),
            q=z.parameter(1, 6, 4),
            last=nn.Linear(4, 3),
        ),
        z.ids(),
    ),
    "positions-in-a-buffer": lambda z: (
        z.of(
            lambda m, x: m.last(torch.tanh(m.e(x) + m.p(m.places[:, : x.shape[1]]))),
            e=nn.Embedding(7, 4),
            p=nn.Embedding(9, 4),
            places=torch.arange(9)[None],
            last=nn.Linear(4, 3),
        ),
        z.ids(),
    ),
    "as-many-positions-as-examples": lambda z: (
        z.of(
            lambda m, x: m.last(torch.tanh(m.e(x) + m.p[: x.shape[1]])),
            e=nn.Embedding(7, 4),
            p=z.parameter(9, 4),
            last=nn.Linear(4, 3),
        ),
        z.ids(z.count),
    ),
    "first-and-last-tokens": lambda z: (
        z.of(
            lambda m, x: m.last(
                torch.tanh(
                    torch.cat([m.start.expand(len(x), -1, -1), x, m.stop.repeat(len(x), 1, 1)], 1)
                    + m.places[: x.shape[1] + 2]
                )
            ),
            start=z.parameter(1, 1, 4),
            stop=z.parameter(1, 1, 4),
            places=z.parameter(9, 4),
            last=nn.Linear(4, 3),
        ),
        z.rows(5, 4),
    ),
    "relative-positions": lambda z: (
        z.of(
            lambda m, x: (
                torch.softmax(x @ x.mT + m.table[m.apart].permute(2, 0, 1).sum(0), -1) @ m.value(x)
            ),
            table=z.parameter(9, 2),
            apart=torch.arange(5)[:, None] - torch.arange(5)[None] + 4,
            value=nn.Linear(4, 3),
        ),
        z.rows(5, 4),
    ),
}

GENERAL = {"by-frequency": ("0.weight",), "bag": ("0.weight",)}


def test_gradients(kind: Any, device: str, check: Any) -> None:
    check.gradients(kind, device)


def test_uneven_batches(kind: Any, check: Any) -> None:
    check.uneven_batches(kind)


def test_factors(kind: Any, check: Any) -> None:
    check.factors(kind)


def test_float32(kind: Any, check: Any) -> None:
    check.float32(kind)


def test_sparse_gradients_are_the_dense_ones() -> None:
    """What is compared while layers are learnt may be sparse, as its module asked for."""
    ids, targets = torch.tensor([[0, 3, 3], [6, 1, 0]]), torch.tensor([2, 0])

    def gradients(sparse: bool) -> torch.Tensor:
        torch.manual_seed(0)
        module = nn.Sequential(nn.Embedding(7, 4, sparse=sparse), nn.Flatten(), nn.Linear(12, 3))
        per_example = PerExampleGradients(
            FunctionalModel(module.double()), CrossEntropy().losses, "loss"
        )
        return per_example(Batch(ids, targets, torch.arange(2)))[0].flatten()  # [2, P]

    torch.testing.assert_close(gradients(True), gradients(False), rtol=1e-12, atol=0)
