"""The error of this room."""

from __future__ import annotations

from hessinf.errors import HessinfError


class GradientError(HessinfError):
    """A gradient or a product with curvature cannot be computed, or is not finite."""
