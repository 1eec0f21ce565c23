"""The error of this room."""

from __future__ import annotations

from hessinf.errors import HessinfError


class ScoreError(HessinfError):
    """Scores cannot be computed, ranked or kept."""
