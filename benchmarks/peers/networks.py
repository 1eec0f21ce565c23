"""The networks of the workloads, in plain torch."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import nn

VOCABULARY = 96
"""Printable ASCII, and the end of a line."""

CONTEXT = 64
"""Characters that a sequence has."""


def mlp(*sizes: int) -> nn.Sequential:
    """Make linear layers with rectified linear units in between."""
    layers: list[nn.Module] = []
    for place, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        layers.append(nn.Linear(inputs, outputs))
        if place < len(sizes) - 2:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def cnn() -> nn.Sequential:
    """Make a network of three convolutions with batch normalization, for images of 8 × 8."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 128, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2048, 48),
        nn.ReLU(),
        nn.Linear(48, 10),
    )


class Block(nn.Module):
    """Attention and a feed-forward network, each normalized before and added to its inputs."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[B, S, D]`` to ``[B, S, D]``; no position sees a later one."""
        batch, positions, width = x.shape
        qkv = self.qkv(self.norm1(x))  # [B, S, 3·D]
        query, key, value = qkv.view(batch, positions, 3, self.heads, -1).unbind(dim=2)
        attended = nn.functional.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), is_causal=True
        )  # [B, heads, S, D / heads]
        x = x + self.out(attended.transpose(1, 2).reshape(batch, positions, width))
        hidden = nn.functional.gelu(self.fc1(self.norm2(x)))  # [B, S, 4·D]
        return x + self.fc2(hidden)


class CharacterTransformer(nn.Module):
    """Predicts the next character: 826,208 parameters."""

    def __init__(self, width: int = 128, heads: int = 4, blocks: int = 4) -> None:
        super().__init__()
        self.characters = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Embedding(CONTEXT, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map characters ``[B, S]`` to logits of the next ones, ``[B, S, V]``."""
        places = torch.arange(tokens.shape[1], device=tokens.device)  # [S]
        hidden = self.characters(tokens) + self.positions(places)  # [B, S, D]
        return self.head(self.norm(self.blocks(hidden)))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "small-mlp": lambda: mlp(64, 64, 32, 10),
    "wide-mlp": lambda: mlp(64, 512, 512, 10),
    "cnn": cnn,
    "transformer": CharacterTransformer,
    "regression": lambda: mlp(10, 64, 32, 1),
}
"""By the name of the workload."""
