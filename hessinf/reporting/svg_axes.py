"""Axes of plots that stand in a page: linear and logarithmic, with round numbers, as SVG.

Colors come from the page's style sheet: lines of the class ``grid``, texts of the class ``quiet``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hessinf.display.html_text import Html, escaped, with_minus

TICKS = 5

LEAST_DECADES = 1.0
"""Powers of ten that a logarithmic axis spans at least: there is always a round number on it."""

MOST_POWERS = 8
"""Where there are more powers of ten, only each second, third, ... is written."""

PLAIN_POWERS = range(-3, 6)
"""Powers of ten that are written out; others as 10⁻⁷."""

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Axis(Protocol):
    """One side of a plot: places of values, and which of them are written."""

    @property
    def start(self) -> float:
        """Where it begins, in the units of the plot."""

    @property
    def end(self) -> float:
        """Where it ends."""

    def __call__(self, value: float) -> float:
        """Return where a value lies."""

    def ticks(self) -> list[tuple[float, str]]:
        """Return values that are written, and how."""


@dataclass(frozen=True)
class Scale:
    """Values along one side of a plot.

    Parameters
    ----------
    first, last
        The values at the two ends; their logarithms to base 10 where it is logarithmic.
    start, end
        Where these lie, in the units of the plot.
    logarithmic
        Whether equal distances are equal factors.
    """

    first: float
    last: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return where a value lies; one that has no place on the axis lies at its start."""
        if self.logarithmic:
            value = math.log10(value) if value > 0 else self.first
        share = (value - self.first) / (self.last - self.first)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Return round values, and how they are written."""
        if self.logarithmic:
            return [(value, written(value)) for value in _round_factors(self.first, self.last)]
        return [(value, with_minus(f"{value:g}")) for value in _round_values(self.first, self.last)]


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Return a linear scale that leaves a margin at both ends, also where they are the same."""
    return Scale(*_widened(low, high), start, end)


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """Return a logarithmic scale, with a margin at both ends; both are greater than 0."""
    first, last = _widened(math.log10(low), math.log10(high))
    # What is nearly the same stands close together, whatever the others are.
    short = max(LEAST_DECADES - (last - first), 0.0)
    return Scale(first - short / 2, last + short / 2, start, end, logarithmic=True)


@dataclass(frozen=True)
class Frame:
    """A plot's two axes.

    Parameters
    ----------
    across, down
        The scale from left to right, and that of heights: it starts at the bottom.
    x, y
        What stands at the axes, with units.
    """

    across: Axis
    down: Axis
    x: str
    y: str

    def path(self, points: Iterable[tuple[float, float]]) -> str:
        """Return what a line through points has for its attribute ``points``."""
        return " ".join(f"{self.across(x):.1f},{self.down(y):.1f}" for x, y in points)

    def grid(self) -> list[str]:
        """Return lines at round values, their numbers, and the names of the axes."""
        left, right, bottom, top = (
            self.across.start,
            self.across.end,
            self.down.start,
            self.down.end,
        )
        parts = []
        for value, text in self.down.ticks():
            y = f"{self.down(value):.1f}"
            parts.append(
                f'<line class="grid" x1="{left:g}" x2="{right:g}" y1="{y}" y2="{y}"/>'
                f'<text class="quiet" x="{left - 8:g}" y="{y}" text-anchor="end" dy=".35em">'
                f"{text}</text>"
            )
        for value, text in self.across.ticks():
            x = f"{self.across(value):.1f}"
            parts.append(
                f'<line class="grid" x1="{x}" x2="{x}" y1="{top:g}" y2="{bottom:g}"/>'
                f'<text class="quiet" x="{x}" y="{bottom + 18:g}" text-anchor="middle">'
                f"{text}</text>"
            )
        parts.append(
            f'<text class="quiet" x="{(left + right) / 2:.0f}" y="{bottom + 40:g}" '
            f'text-anchor="middle">{escaped(self.x)}</text>'
            f'<text class="quiet" x="{left:g}" y="{top - 10:g}">{escaped(self.y)}</text>'
        )
        return parts


def drawing(width: float, height: float, what: str, parts: Sequence[str]) -> Html:
    """Return an ``<svg>`` element that takes its colors from the page.

    Parameters
    ----------
    width, height
        In the units of the plot.
    what
        What a screen reader says of it.
    parts
        Elements, as markup; what comes later lies above.
    """
    start = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escaped(what)}">'
    return Html("\n".join([start, *parts, "</svg>"]))


def written(value: float) -> str:
    """Write a round value of a logarithmic axis: 0.05, 2000, 10⁻⁷."""
    power = math.floor(math.log10(value) + 1e-9)
    if power in PLAIN_POWERS:
        return f"{value:g}"
    factor = round(value / 10.0**power)
    times = "" if factor == 1 else f"{factor}·"
    return f"{times}10{str(power).translate(SUPERSCRIPTS)}"


def _widened(low: float, high: float) -> tuple[float, float]:
    """Leave a margin at both ends, also where they are the same."""
    margin = 0.08 * (high - low) or 0.5 * max(1.0, abs(high))
    return low - margin, high + margin


def _round_values(low: float, high: float) -> list[float]:
    """Choose round numbers between two others."""
    rough = (high - low) / TICKS
    power = math.floor(math.log10(rough))
    step = next(factor * 10.0**power for factor in (1, 2, 5, 10) if factor * 10.0**power >= rough)
    count = range(math.ceil(low / step), math.floor(high / step) + 1)
    return [round(place * step, 2 - power) for place in count]


def _round_factors(first: float, last: float) -> list[float]:
    """Choose 1, 2 and 5 times powers of ten, or the powers alone where there are many."""
    powers = range(math.floor(first), math.ceil(last) + 1)
    factors = (1, 2, 5) if last - first < 2 else (1,)
    step = -(-len(powers) // MOST_POWERS)
    values = [factor * 10.0**power for power in powers if power % step == 0 for factor in factors]
    return [value for value in values if first <= math.log10(value) <= last]
