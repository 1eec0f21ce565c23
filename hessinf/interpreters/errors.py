"""The error of this room."""

from __future__ import annotations

from hessinf.errors import HessinfError


class InterpreterError(HessinfError):
    """An interpreter is used in a way that cannot work, or its saved state does not fit."""
