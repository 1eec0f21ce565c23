"""The network behind the model "text-classifier", in plain PyTorch."""

from __future__ import annotations

import math

import torch
from torch import nn

from hessinf.models.networks import ACTIVATIONS

LONGEST_WAVE = 10_000.0
"""As in Vaswani et al. 2017, section 3.5."""


class TextNetwork(nn.Module):
    """Classifies texts: every token gives logits, and those of a text are their mean.

    For a linear last layer this is the same function as one that is applied to the mean of what
    tokens give, and makes every layer one of tokens.

    Parameters
    ----------
    num_tokens
        How many token numbers there are; 0 is padding.
    embedding_size
        The width of embeddings, and of transformer layers.
    num_layers
        How many transformer layers follow, in which tokens see each other.
    num_heads
        Of each transformer layer.
    hidden_size
        The width of one more layer of each token, before the last; None without one.
    window
        How many tokens that layer sees at once, an odd number: each token and its neighbors.
    out_features
        The number of outputs.
    activation
        A key of :data:`hessinf.models.networks.ACTIVATIONS`.
    """

    def __init__(
        self,
        num_tokens: int,
        embedding_size: int,
        num_layers: int,
        num_heads: int,
        hidden_size: int | None,
        window: int,
        out_features: int,
        activation: str,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_tokens, embedding_size, padding_idx=0)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                embedding_size,
                num_heads,
                dim_feedforward=2 * embedding_size,
                dropout=0.0,
                activation=ACTIVATIONS[activation](),
                batch_first=True,
                norm_first=True,
            )
            for _ in range(num_layers)
        )
        self.hidden: nn.Module | None = None
        if hidden_size is not None:
            # Beyond the ends of a text there are zeros, as in the places of padding.
            self.hidden = nn.Conv1d(embedding_size, hidden_size, window, padding=window // 2)
        self.activation = ACTIVATIONS[activation]()
        self.out = nn.Linear(hidden_size or embedding_size, out_features)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Compute logits ``[B, C]`` for token numbers ``[B, S]``, padded with zeros."""
        real = tokens != 0  # [B, S]
        states = self.embedding(tokens)  # [B, S, E]
        if len(self.layers):
            states = states + _places(states)
        for layer in self.layers:
            states = layer(states, src_key_padding_mask=~real)  # [B, S, E]
        if self.hidden is not None:
            states = states * real.unsqueeze(-1)  # [B, S, E]
            hidden = self.hidden(states.transpose(1, 2))  # [B, H, S]
            states = self.activation(hidden).transpose(1, 2)  # [B, S, H]
        logits = self.out(states)  # [B, S, C]
        weights = real / real.sum(dim=1, keepdim=True)  # [B, S]
        means: torch.Tensor = (logits * weights.to(logits).unsqueeze(-1)).sum(dim=1)  # [B, C]
        return means


def _places(states: torch.Tensor) -> torch.Tensor:
    """Return sines and cosines that tell the places of tokens apart: ``[S, E]``."""
    length, width = states.shape[1:]
    place = torch.arange(length, dtype=states.dtype, device=states.device)  # [S]
    even = torch.arange(0, width, 2, dtype=states.dtype, device=states.device)  # [E / 2]
    angles = place[:, None] * torch.exp(-math.log(LONGEST_WAVE) / width * even)  # [S, E / 2]
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1)  # [S, E / 2, 2]
    places: torch.Tensor = waves.flatten(1)[:, :width]
    return places
