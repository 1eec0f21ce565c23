"""How far two colors differ in lightness, as WCAG 2.1 measures it: from 1 to 21."""

from __future__ import annotations

import re
from collections.abc import Sequence


def channels(color: str) -> tuple[float, ...]:
    """Red, green and blue of ``#rrggbb``, from 0 to 1."""
    return tuple(int(pair, 16) / 255 for pair in re.findall("..", color.removeprefix("#")))


def luminance(color: Sequence[float]) -> float:
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in color
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Sequence[float], other: Sequence[float]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
