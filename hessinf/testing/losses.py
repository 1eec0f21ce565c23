"""Losses and their second derivatives in the outputs, stated anew.

Nothing of what is tested takes part in what it is compared with: these are PyTorch's own losses,
and the textbook's second derivatives, example by example.
"""

from __future__ import annotations

import torch
from torch.nn import functional

IGNORED = -100
"""The target of positions without a loss."""


def cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute each example's sum over positions of ``-log p_y``: ``[B, C]`` or ``[B, S, C]``."""
    terms = functional.cross_entropy(
        outputs.movedim(-1, 1), targets, reduction="none", ignore_index=IGNORED
    )  # [B] or [B, S]
    return terms.reshape(len(terms), -1).sum(dim=1)  # [B]


def cross_entropy_hessians(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute ``diag p - p pᵀ`` at each position that counts, ``[B, S·C, S·C]``."""
    count, classes = len(outputs), outputs.shape[-1]
    shares = outputs.reshape(count, -1, classes).softmax(dim=2)  # [B, S, C]
    counted = targets.reshape(count, -1) != IGNORED  # [B, S]
    positions = shares.shape[1]
    hessians = torch.zeros(count, positions * classes, positions * classes, dtype=outputs.dtype)
    for example in range(count):
        for position in range(positions):
            if counted[example, position]:
                share = shares[example, position]  # [C]
                own = slice(position * classes, (position + 1) * classes)
                hessians[example, own, own] = share.diag() - share[:, None] * share[None, :]
    return hessians


CLASS_WEIGHTS = (0.4, 1.0, 2.5)
SMOOTHING = 0.1


def weighted_cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute ``-Σ_c t_c w_c log p_c``, with class weights ``w`` and smoothed targets ``t``."""
    weights = torch.tensor(CLASS_WEIGHTS, dtype=outputs.dtype)  # [C]
    return functional.cross_entropy(
        outputs, targets, weight=weights, label_smoothing=SMOOTHING, reduction="none"
    )


def weighted_cross_entropy_hessians(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute ``(Σ_c t_c w_c) (diag p - p pᵀ)``, ``[B, C, C]``."""
    weights = torch.tensor(CLASS_WEIGHTS, dtype=outputs.dtype)  # [C]
    smoothed = torch.full_like(outputs, SMOOTHING / len(weights))  # [B, C]
    for row, target in zip(smoothed, targets, strict=True):
        row[target] += 1 - SMOOTHING
    return (smoothed @ weights)[:, None, None] * cross_entropy_hessians(outputs, targets)


def next_token_cross_entropy(outputs: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Compute each example's sum of ``-log p`` of the token after each position, ``[B]``."""
    return cross_entropy(outputs[:, :-1], tokens[:, 1:])


def next_token_cross_entropy_hessians(outputs: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Compute ``diag p - p pᵀ`` at each position with a next token, ``[B, S·V, S·V]``."""
    nothing = torch.full_like(tokens[:, :1], IGNORED)  # [B, 1]
    return cross_entropy_hessians(outputs, torch.cat([tokens[:, 1:], nothing], dim=1))


def mean_squares(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute ``mean_t (f_t - y_t)²``, ``[B]``."""
    return functional.mse_loss(outputs, targets, reduction="none").mean(dim=1)


def mean_squares_hessians(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute ``2/T · I``, ``[B, T, T]``."""
    del targets
    count, width = outputs.shape
    eye = torch.eye(width, dtype=outputs.dtype)  # [T, T]
    return (2 / width * eye).expand(count, width, width)
