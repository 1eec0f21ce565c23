"""The error of this room."""

from __future__ import annotations

from hessinf.errors import HessinfError


class DivergenceError(HessinfError):
    """An iterative solver ran away instead of converging."""
