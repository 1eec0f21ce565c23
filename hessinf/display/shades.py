"""Backgrounds that say a sign and a magnitude, and leave text on them readable."""

from __future__ import annotations

POSITIVE, NEGATIVE = "0, 114, 178", "213, 94, 0"
"""Blue and orange, as red, green, blue: told apart by the color-blind (Okabe and Ito, 2008)."""

MOST = 0.5
"""How much of the color is laid over the background at most, be that light or dark."""


def shade(value: float, largest: float) -> str:
    """Return the declaration of a background.

    Parameters
    ----------
    value
        Blue where positive, orange where negative.
    largest
        The magnitude that has the strongest color.

    Returns
    -------
    str
        Empty where there is nothing to show.
    """
    if not (largest > 0 and value):
        return ""
    color = POSITIVE if value > 0 else NEGATIVE
    return f"background: rgba({color}, {MOST * min(abs(value) / largest, 1.0):.2f})"
