"""Attention with packed weights, and transformers, with padding masks."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    """Multi-head attention between layers, of itself or of others, batch first or second."""

    def __init__(self, batch_first: bool, cross: bool, **options: Any) -> None:
        super().__init__()
        self.batch_first, self.cross = batch_first, cross
        self.before = nn.Linear(4, 4)
        self.others = nn.Linear(4, options.get("kdim") or 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=batch_first, **options)
        self.last = nn.Linear(4, 3)
        if options.get("bias", True):
            nn.init.normal_(self.attention.in_proj_bias)

    def forward(self, x: torch.Tensor, padding: torch.Tensor | None = None) -> torch.Tensor:
        query = self.before(x if self.batch_first else x.transpose(0, 1))
        other = torch.tanh(self.others(query)) if self.cross else query
        mixed = self.attention(query, other, other, key_padding_mask=padding)[0]
        return self.last(mixed if self.batch_first else mixed.transpose(0, 1))


class Transformer(nn.Module):
    """Tied embeddings, learnt positions, encoder layers with masks: a vector of logits a token."""

    def __init__(self, batch_first: bool = True, norm_first: bool = False) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.embedding = nn.Embedding(7, 4, padding_idx=0)
        self.positions = nn.Embedding(9, 4)
        layer = nn.TransformerEncoderLayer(
            4, 2, 5, activation="gelu", batch_first=batch_first, norm_first=norm_first
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.bias = nn.Parameter(torch.randn(7))

    def forward(self, tokens: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.embedding(tokens) + self.positions(places)
        x = x if self.batch_first else x.transpose(0, 1)
        x = self.layers(x, src_key_padding_mask=padding)
        x = x if self.batch_first else x.transpose(0, 1)
        logits = functional.linear(x, self.embedding.weight, self.bias)
        return logits * (~padding).unsqueeze(-1)


class Decoder(nn.Module):
    """A decoder layer: its own attention is causal, the other looks at a memory."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.layer = nn.TransformerDecoderLayer(4, 2, 5, batch_first=True)

    def forward(self, tokens: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1]).to(x)
        return self.layer(
            x, x.flip(1), tgt_mask=mask, tgt_is_causal=True, memory_key_padding_mask=padding
        )


KINDS = {
    "batch-first-self": lambda z: (Attention(True, False), z.padded_rows()),
    "batch-first-cross": lambda z: (Attention(True, True), z.padded_rows()),
    "batch-second-self": lambda z: (Attention(False, False), z.padded_rows()),
    "batch-second-cross": lambda z: (Attention(False, True), z.padded_rows()),
    "own-sizes": lambda z: (Attention(True, True, kdim=5, vdim=5), z.padded_rows()),
    "without-bias": lambda z: (
        Attention(False, True, bias=False, add_bias_kv=True, add_zero_attn=True),
        z.padded_rows(),
    ),
    "as-many-positions-as-examples": lambda z: (Attention(False, False), z.rows(z.count, 4)),
    "first-layer": lambda z: (
        z.of(lambda m, x: m.a(x, x, x)[0], a=nn.MultiheadAttention(4, 2, batch_first=True)),
        z.rows(6, 4),
    ),
    "self-and-cross-by-the-same": lambda z: (
        z.of(
            lambda m, x: m.a(m.a(x, x, x)[0], x, x)[0],
            a=nn.MultiheadAttention(4, 2, batch_first=True),
        ),
        z.rows(6, 4),
    ),
    "transformer": lambda z: (Transformer(), z.padded_ids()),
    "transformer-batch-second": lambda z: (Transformer(batch_first=False), z.padded_ids()),
    "transformer-norm-first": lambda z: (Transformer(norm_first=True), z.padded_ids()),
    "decoder": lambda z: (Decoder(), z.padded_ids()),
}


def test_gradients(kind: Any, device: str, check: Any) -> None:
    check.gradients(kind, device)


def test_uneven_batches(kind: Any, check: Any) -> None:
    check.uneven_batches(kind)


def test_factors(kind: Any, check: Any) -> None:
    check.factors(kind)


def test_float32(kind: Any, check: Any) -> None:
    check.float32(kind)
