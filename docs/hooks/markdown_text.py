"""Text that Markdown shows as it is, for the other hooks: mkdocs lets them import each other."""

from __future__ import annotations

import re

SPECIAL = re.compile(r"([\\*_\[\]<>|{}$#])")


def verbatim(text: str) -> str:
    """Put a backslash before whatever Markdown would take for a mark."""
    return SPECIAL.sub(r"\\\1", text)
