"""Colors and lines that the color-blind tell apart (Okabe and Ito, 2008)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

COLORS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442")
DASHES = ("-", "--", "-.", ":")

HELPFUL, HARMFUL = COLORS[1], COLORS[2]
"""What each sign of a score looks like."""

PLAIN, MARKED, BACK = "#545d67", HARMFUL, "#9aa3ad"
"""Points; those that are pointed out; those that stand back."""

SEQUENTIAL, DIVERGING = "cividis", "RdBu"
"""Maps from values to colors: even in lightness, and from orange-red over white to blue."""


def line_styles() -> Iterator[dict[str, Any]]:
    """Go through colors and dashes, without end."""
    place = 0
    while True:
        yield {
            "color": COLORS[place % len(COLORS)],
            "linestyle": DASHES[(place + place // len(COLORS)) % len(DASHES)],
            "linewidth": 1.4,
        }
        place += 1
