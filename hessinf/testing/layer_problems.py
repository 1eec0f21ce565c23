"""Problems whose models have one kind of layer that others lack, beside those for every method."""

from __future__ import annotations

import functools
from itertools import pairwise

import torch
from torch import nn

from hessinf.testing.losses import (
    cross_entropy,
    cross_entropy_hessians,
    mean_squares,
    mean_squares_hessians,
)
from hessinf.testing.optimum import draw_parameters, normal
from hessinf.testing.problem import Problem


class Texts(nn.Module):
    """Classifies sequences of tokens of which 0 is padding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 3, padding_idx=0)
        self.hidden = nn.Linear(3, 4)
        self.out = nn.Linear(4, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Compute logits ``[B, 3]`` for tokens ``[B, S]``."""
        hidden = self.hidden(self.embedding(tokens)).tanh()  # [B, S, 4]
        logits: torch.Tensor = self.out((hidden * (tokens != 0)[..., None]).sum(dim=1))
        return logits


class Volumes(nn.Module):
    """Convolutions of one and three dimensions: dilated, strided, in groups, with a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Conv1d(2, 4, 3, padding=2, dilation=2, groups=2)
        self.volume = nn.Conv3d(1, 2, 2, stride=(1, 2, 1), bias=False)
        self.out = nn.Linear(2 * 3 * 3 * 4, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Compute logits ``[B, 2]`` for signals ``[B, 2, 15]``."""
        lines = self.line(inputs).tanh()  # [B, 4, 15]
        volumes = lines.reshape(-1, 1, 4, 3, 5).repeat(1, 1, 1, 2, 1)  # [B, 1, 4, 6, 5]
        logits: torch.Tensor = self.out(self.volume(volumes).tanh().flatten(1))
        return logits


@functools.cache
def texts() -> Problem:
    """Make a model with an embedding that nothing else uses. N = 5, Q = 2, P = 52.

    Token 0 is padding; of 13 others token 1 stands three times, token 5 once.
    """
    generator = torch.Generator().manual_seed(11)
    with torch.random.fork_rng(devices=[]):
        module = Texts()
    draw_parameters(module, generator)
    tokens = torch.tensor([[1, 2, 3, 0], [4, 4, 0, 0], [6, 1, 2, 4], [3, 0, 0, 0], [2, 5, 1, 0]])
    return Problem(
        name="texts",
        trained=module,
        train=(tokens, torch.tensor([0, 1, 2, 1, 0])),
        queries=(tokens[:2], torch.tensor([0, 1])),
        objective="cross-entropy",
        weight_decay=0.1,
        losses=cross_entropy,
        output_hessians=cross_entropy_hessians,
    )


@functools.cache
def words() -> Problem:
    """Make a model of single tokens, two of each: an embedding with one position. N = 8, P = 27."""
    generator = torch.Generator().manual_seed(14)
    with torch.random.fork_rng(devices=[]):
        module = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(3, 3))
    draw_parameters(module, generator)
    tokens = torch.tensor([[0], [1], [4], [2], [1], [0], [2], [4]])
    return Problem(
        name="words",
        trained=module,
        train=(tokens, torch.tensor([0, 1, 2, 1, 0, 0, 2, 1])),
        queries=(tokens[:2], torch.tensor([0, 1])),
        objective="cross-entropy",
        weight_decay=0.1,
        losses=cross_entropy,
        output_hessians=cross_entropy_hessians,
    )


@functools.cache
def volumes() -> Problem:
    """Make a model of signals that are folded to volumes. N = 9, Q = 2, P = 178."""
    generator = torch.Generator().manual_seed(12)
    with torch.random.fork_rng(devices=[]):
        module = Volumes()
    draw_parameters(module, generator)
    return Problem(
        name="volumes",
        trained=module,
        train=(normal(generator, 9, 2, 15), torch.tensor([0, 1, 0, 1, 1, 0, 0, 1, 1])),
        queries=(normal(generator, 2, 2, 15), torch.tensor([0, 1])),
        objective="cross-entropy",
        weight_decay=0.1,
        losses=cross_entropy,
        output_hessians=cross_entropy_hessians,
    )


@functools.cache
def deep_linear_network() -> Problem:
    """Make a network of linear layers alone, for two values. N = 17, Q = 3, P = 47."""
    generator = torch.Generator().manual_seed(13)
    with torch.random.fork_rng(devices=[]):
        layers = [nn.Linear(before, after) for before, after in pairwise([4, 3, 5, 2])]
    module = nn.Sequential(*layers)
    draw_parameters(module, generator)
    return Problem(
        name="deep linear network",
        trained=module,
        train=(normal(generator, 17, 4), normal(generator, 17, 2)),
        queries=(normal(generator, 3, 4), normal(generator, 3, 2)),
        objective="mean-squared-error",
        weight_decay=0.1,
        losses=mean_squares,
        output_hessians=mean_squares_hessians,
    )
