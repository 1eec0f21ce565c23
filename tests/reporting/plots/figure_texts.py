"""What is written in a figure."""

from __future__ import annotations

from typing import Any

from matplotlib.text import Text


def texts(canvas: Any) -> str:
    """Join all texts of a figure, a line each."""
    found = [text.get_text() for text in canvas.findobj(Text)]
    return "\n".join(text for text in found if text)
