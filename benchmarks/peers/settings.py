"""The settings that all packages are given, so that they do the same work."""

from __future__ import annotations

DAMPING = 1e-3
"""λ, added to the curvature of the mean loss."""

LISSA_BATCH_SIZE = 8
LISSA_DAMPING = 3e-3
LISSA_SCALE = 1e4
LISSA_DEPTH = 0.25
"""AllenNLP's defaults, which are those of Han, Wallace & Tsvetkov 2020; depth is a share of the
batches of an epoch: ``x ← v + (1 − damping)·x − Hx/scale``, and ``x/scale`` at the end."""

ARNOLDI_RANK = 50
NYSTROEM_RANK = 50
TRAK_DIMENSION = 512

CONJUGATE_GRADIENT_TOLERANCE = 1e-4
CONJUGATE_GRADIENT_STEPS = 50


def lissa_steps(examples: int) -> int:
    """Count the steps of the recursion: a share of the batches of an epoch, rounded down."""
    return max(1, int(-(-examples // LISSA_BATCH_SIZE) * LISSA_DEPTH))
