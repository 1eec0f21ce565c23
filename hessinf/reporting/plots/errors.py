"""What cannot be drawn."""

from __future__ import annotations

from hessinf.errors import HessinfError


class PlotError(HessinfError):
    """There is nothing to draw, or nothing to draw it with."""
