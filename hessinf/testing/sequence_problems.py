"""Models of sequences: examples of different length, tied weights, losses at some positions."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hessinf.testing.losses import (
    IGNORED,
    cross_entropy,
    cross_entropy_hessians,
    next_token_cross_entropy,
    next_token_cross_entropy_hessians,
)
from hessinf.testing.optimum import at_optimum, draw_parameters, minimize
from hessinf.testing.problem import Columns, Problem

VOCABULARY = 6


class TiedTransformer(nn.Module):
    """Two encoder layers between an embedding and the same embedding, transposed."""

    def __init__(self, width: int, longest: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Parameter(torch.zeros(longest, width))
        self.layers = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(
                width,
                2,
                dim_feedforward=6,
                dropout=0.2,
                activation="gelu",
                layer_norm_eps=0.1,
                batch_first=True,
                norm_first=True,
            ),
            2,
            enable_nested_tensor=False,
        )

    def forward(self, tokens: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Compute logits ``[B, S, V]`` for tokens ``[B, S]``; the mask is True at real ones."""
        hidden = self.embedding(tokens) + self.positions[: tokens.shape[1]]  # [B, S, E]
        hidden = self.layers(hidden, src_key_padding_mask=~attention_mask)  # [B, S, E]
        return functional.linear(hidden, self.embedding.weight)  # [B, S, V]


class TiedRecurrence(nn.Module):
    """One layer used at two depths between an embedding and the same embedding, transposed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.mix = nn.Linear(width, width)
        self.decoder = nn.Linear(width, VOCABULARY)
        self.decoder.weight = self.embedding.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Compute logits ``[B, S, V]`` for tokens ``[B, S]``."""
        seen = self.embedding(tokens)  # [B, S, E]
        hidden = torch.tanh(self.mix(seen))  # [B, S, E]
        logits: torch.Tensor = self.decoder(torch.tanh(self.mix(hidden + seen)))
        return logits


def _texts(lengths: list[int], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw tokens that mostly go up by one or two, and say which are real: ``[n, S]`` each."""
    count, longest = len(lengths), max(lengths)
    start = torch.randint(VOCABULARY, (count, 1), generator=generator)
    steps = torch.randint(1, 3, (count, longest - 1), generator=generator)
    tokens = torch.cat([start, start + steps.cumsum(dim=1)], dim=1) % VOCABULARY  # [n, S]
    noise = torch.randint(VOCABULARY, tokens.shape, generator=generator)
    noisy = torch.rand(tokens.shape, generator=generator) < 0.2
    real = torch.arange(longest) < torch.tensor(lengths)[:, None]  # [n, S]
    return torch.where(noisy, noise, tokens), real


@functools.cache
def transformer() -> Problem:
    """Make an encoder of two layers with padding masks and tied embeddings. N = 15, Q = 3.

    At each real position, but for the first, the token before it is asked for; elsewhere the target
    is ignored. Examples have 2 to 5 tokens, and columns are padded with a token that occurs in
    texts too, so that a mask left out shows. Training stopped early. P = 352.
    """
    generator = torch.Generator().manual_seed(21)
    longest = 5
    with torch.random.fork_rng(devices=[]):
        module = TiedTransformer(4, longest)
    draw_parameters(module, generator)

    def draw(lengths: list[int]) -> Columns:
        tokens, real = _texts(lengths, generator)
        before = torch.cat([torch.full_like(tokens[:, :1], IGNORED), tokens[:, :-1]], dim=1)
        inputs = {"tokens": torch.where(real, tokens, 1), "attention_mask": real}
        return inputs, torch.where(real, before, IGNORED)

    def lengths_of(inputs: Any) -> list[int]:
        lengths: list[int] = inputs["attention_mask"].sum(dim=1).tolist()
        return lengths

    problem = Problem(
        name="transformer",
        trained=module,
        train=draw([5, 3, 4, 2, 5, 4, 3, 5, 2, 4, 5, 3, 4, 5, 3]),
        queries=draw([4, 5, 2]),
        objective="cross-entropy",
        weight_decay=0.15,
        losses=cross_entropy,
        output_hessians=cross_entropy_hessians,
        frozen=(r"^layers\.layers\.0\.self_attn\.in_proj", r"^layers\.layers\.1\.norm1"),
        lengths=lengths_of,
    )
    # At an optimum under the whole weight decay, attention that is not needed is zero. Stopped
    # early under a smaller one, all is there, and the Hessian is positive definite all the same.
    minimize(module, problem.losses, problem.train, weight_decay=0.01, steps=8)
    return problem


@functools.cache
def language_model() -> Problem:
    """Make a model of the next token with tied weights and a layer used twice. N = 18, Q = 4.

    Examples have 2 to 5 tokens; their targets are the tokens themselves, which the objective moves
    by one. P = 36.
    """
    generator = torch.Generator().manual_seed(6)
    with torch.random.fork_rng(devices=[]):
        module = TiedRecurrence(3)
    draw_parameters(module, generator)
    padding = 0  # what batches are padded with: it stands nowhere else

    def draw(lengths: list[int]) -> Columns:
        tokens, real = _texts(lengths, generator)
        tokens = tokens.clamp(min=1)
        return torch.where(real, tokens, padding), torch.where(real, tokens, IGNORED)

    def lengths_of(inputs: Any) -> list[int]:
        lengths: list[int] = (inputs != padding).sum(dim=1).tolist()
        return lengths

    return at_optimum(
        Problem(
            name="language model",
            trained=module,
            train=draw([5, 3, 4, 2, 5, 4, 3, 5, 2, 4, 5, 3, 4, 5, 3, 2, 4, 5]),
            queries=draw([4, 5, 2, 3]),
            objective="language-modeling",
            weight_decay=0.05,
            losses=next_token_cross_entropy,
            output_hessians=next_token_cross_entropy_hessians,
            frozen=(r"^mix\.bias$",),
            lengths=lengths_of,
        )
    )
