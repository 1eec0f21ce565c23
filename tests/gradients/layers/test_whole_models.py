"""Models as people build them: each a mixture of layers and of arithmetic with parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class TransposedLinear(nn.Module):
    """As transformers' ``Conv1D``."""

    def __init__(self, out_features: int, in_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_features, out_features))
        self.bias = nn.Parameter(torch.randn(out_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = (*x.shape[:-1], self.weight.shape[1])
        return torch.addmm(self.bias, x.view(-1, x.shape[-1]), self.weight).view(size)


class Gpt(nn.Module):
    """A block of GPT-2: causal attention, learnt positions, the output layer tied."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(11, 8), nn.Embedding(16, 8)
        self.norm, self.last_norm = nn.LayerNorm(8), nn.LayerNorm(8)
        self.packed, self.mixed = TransposedLinear(24, 8), TransposedLinear(8, 8)
        self.wide, self.narrow = TransposedLinear(16, 8), TransposedLinear(8, 16)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        count, length = ids.shape
        places = torch.arange(length, device=ids.device).unsqueeze(0)
        x = self.tokens(ids) + self.positions(places)
        parts = self.packed(self.norm(x)).split(8, dim=2)
        query, key, value = (part.view(count, length, 2, 4).transpose(1, 2) for part in parts)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.mixed(mixed.transpose(1, 2).reshape(count, length, 8))
        x = x + self.narrow(functional.gelu(self.wide(self.last_norm(x))))
        return x @ self.tokens.weight.T


class VisionTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.first = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 5, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.scale = nn.Parameter(torch.randn(8))
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.first.expand(len(x), -1, -1), x), dim=1) + self.positions
        return self.head((self.layers(x) * self.scale)[:, 0])


class Residual(nn.Module):
    """Convolutions between normalisations, sums and activations in place, one number out."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = (nn.Conv2d(c, 8, 3, padding=1, bias=False) for c in (3, 8))
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(2))
        for norm in self.norms:
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
        self.relu = nn.ReLU(inplace=True)
        self.down, self.group_norm = nn.Conv2d(8, 12, 1, stride=2), nn.GroupNorm(4, 12)
        self.up, self.head = nn.ConvTranspose2d(12, 4, 2, stride=2), nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norms[0](self.one(x)))
        y = self.norms[1](self.two(x))
        y += x
        y = functional.silu(self.group_norm(self.down(self.relu(y))), inplace=True)
        y = functional.adaptive_avg_pool2d(self.up(y), 1).flatten(1)
        return self.head(y).squeeze(-1)


class Mixer(nn.Module):
    """Linear layers along positions, then along features."""

    def __init__(self) -> None:
        super().__init__()
        self.positions, self.features = nn.Linear(5, 5), nn.Linear(6, 6)
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.positions(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return self.head((x + self.features(self.norm(x))).mean(1))


class LowRank(nn.Module):
    """A frozen weight with an update of low rank, added to it and beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 6), requires_grad=False)
        self.a, self.b = nn.Parameter(torch.randn(2, 6)), nn.Parameter(torch.randn(6, 2))
        self.head = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        added = functional.linear(x, self.weight + self.b @ self.a)
        return self.head(torch.tanh(added + functional.linear(x @ self.a.T, self.b)))


class Graph(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 4), nn.Linear(4, 1)
        self.weight, self.scale = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.rand(4))

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        x = torch.relu(edges @ self.first(x))
        x = torch.relu(edges @ (x @ self.weight) * self.scale)
        return self.head(x).sum((1, 2))


class Latents(nn.Module):
    """Learnt queries, the same for all examples."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(3, 4))
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        queries = self.queries.unsqueeze(0).repeat(len(x), 1, 1)
        return self.head(self.attention(queries, x, x)[0].mean(1))


class Heads(nn.Module):
    """Several heads with temperatures and scales that are functions of parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(4, 2) for _ in range(3))
        self.temperature = nn.Parameter(torch.tensor(0.7))
        self.scale = nn.Parameter(torch.randn(2))
        self.biases = nn.ParameterList([torch.randn(2) for _ in range(3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = functional.softplus(self.scale)
        logits = [head(x) / self.temperature.clamp(min=0.1) for head in self.heads]
        rows = [
            torch.log_softmax(one, -1) * scale + bias
            for one, bias in zip(logits, self.biases, strict=True)
        ]
        return torch.stack(rows, 1)


KINDS = {
    "gpt": lambda z: (Gpt(), z.ids(6, 11)),
    "vision-transformer": lambda z: (VisionTransformer(), z.rows(3, 8, 8)),
    "residual": lambda z: (Residual(), z.rows(3, 8, 8)),
    "mixer": lambda z: (Mixer(), z.rows(5, 6)),
    "low-rank": lambda z: (LowRank(), z.rows(6)),
    "graph": lambda z: (Graph(), {"x": z.rows(5, 4), "edges": torch.rand(z.count, 5, 5)}),
    "latents": lambda z: (Latents(), z.rows(6, 4)),
    "heads": lambda z: (Heads(), z.rows(4)),
}

GENERAL = {"residual": ("up.weight", "up.bias")}


def test_gradients(kind: Any, device: str, check: Any) -> None:
    check.gradients(kind, device)


def test_uneven_batches(kind: Any, check: Any) -> None:
    check.uneven_batches(kind)


def test_factors(kind: Any, check: Any) -> None:
    check.factors(kind)


def test_float32(kind: Any, check: Any) -> None:
    check.float32(kind)
