"""The error of this room."""

from __future__ import annotations

from hessinf.errors import HessinfError


class CurvatureError(HessinfError):
    """A curvature matrix cannot be formed, or cannot be inverted as asked."""
