"""What goes wrong in evaluations."""

from __future__ import annotations

from hessinf.errors import HessinfError


class EvaluationError(HessinfError):
    """An evaluation cannot be made, or what it was given cannot be judged."""
