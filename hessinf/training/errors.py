"""What can go wrong while a model is trained."""

from __future__ import annotations

from hessinf.errors import HessinfError


class TrainingError(HessinfError):
    """Training diverged, or was asked for something that cannot be done."""


class ObstacleError(Exception):
    """Models cannot be trained as one batched program; the text says why. Nobody sees it raised."""
