"""Conditions on texts, written in annotations as the bounds of numbers are."""

from __future__ import annotations

import re
from typing import Any

from hessinf.registry.bounds import Bound


class Matches(Bound):
    """A text that a regular expression matches as a whole.

    Parameters
    ----------
    pattern
        The regular expression, as Python and JSON Schema both read it.
    description
        What errors say of such a text: ``such as "25%"``.
    """

    kinds = (str,)

    def __init__(self, pattern: str, description: str) -> None:
        super().__init__()
        self.pattern = pattern
        self.description = description

    def holds(self, value: Any) -> bool:
        """Whether the whole text matches."""
        return re.fullmatch(self.pattern, value) is not None

    def schema(self) -> dict[str, Any]:
        """Return ``{"pattern": ...}``."""
        return {"pattern": f"^({self.pattern})$"}

    def __hash__(self) -> int:
        return hash((self.pattern, self.description))

    def __str__(self) -> str:
        return self.description


class RegularExpression(Bound):
    """A text that is a regular expression."""

    kinds = (str,)

    def holds(self, value: Any) -> bool:
        """Whether Python can compile it."""
        try:
            re.compile(value)
        except re.error:
            return False
        return True

    def schema(self) -> dict[str, Any]:
        """Return ``{"format": "regex"}``."""
        return {"format": "regex"}

    def __str__(self) -> str:
        return "that is a regular expression"
