"""The plots of a report, as SVG in the colors of the page: scores, ranking, spectrum."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hessinf.display.html_text import escaped
from hessinf.display.numbers import counted, number
from hessinf.reporting.score_counts import ScoreCounts
from hessinf.reporting.short_names import short_name
from hessinf.reporting.spectrum_blocks import ROUNDING, block_label
from hessinf.reporting.svg_axes import Frame, Scale, drawing, logarithmic, written

WIDTH, HEIGHT = 440, 290
"""About as many pixels as a figure of the page has: letters keep their size."""

LEFT, RIGHT, TOP, BOTTOM = 62, 12, 30, 50

GAP = 18.0
"""Between the two sides, where what is smaller is shown."""

BESIDE_THE_GAP = 30.0
"""From the middle to the first power of ten that is written: there is room for two."""

HEADROOM = 1.15
"""Above the highest column, for what stands above the middle."""

MOST_TICKS = 3
"""Powers of ten that are written on each side."""

POINTS = 300
"""Points of a line, at most: more than a screen tells apart."""

RANKING_FLOOR = 1e-8
"""What is a smaller share of the largest is nothing: it would squeeze all others."""

LEGEND_NAME = 16
"""Characters of a name beside its line."""

DASHES = ("", "7 4", "2 3", "9 3 2 3", "1 5", "12 4")
"""Of the lines of blocks: told apart without colors."""


def score_plot(counts: ScoreCounts) -> str | None:
    """Draw how scores are spread; None where nothing is known, or all are 0.

    Parameters
    ----------
    counts
        Over all queries.
    """
    if not any(counts.bins.values()):
        return None
    first, last = counts.ends()
    small = counts.zeros + sum(
        count for bins in counts.bins.values() for place, count in bins.items() if place < first
    )
    across = _SignedAxis(first / 2, (last + 1) / 2, LEFT, WIDTH - RIGHT)
    highest = max(
        count for bins in counts.bins.values() for place, count in bins.items() if place >= first
    )
    frame = Frame(
        across,
        Scale(0, highest * HEADROOM, HEIGHT - BOTTOM, TOP),
        "score, powers of ten (helpful above 0)",
        "number of scores",
    )
    bars = [
        bar
        for sign, kind, factor in (("negative", "harmful", -1), ("positive", "helpful", 1))
        for place, count in sorted(counts.bins[sign].items())
        if place >= first
        for bar in [
            _bar(
                frame,
                sorted(across(factor * 2 ** (end / 2)) for end in (place, place + 1)),
                count,
                kind,
                f"{counted(count, 'score')} of {number(2 ** (place / 2))} to "
                f"{number(2 ** ((place + 1) / 2))}, {kind}",
            )
        ]
    ]
    middle = (across.start + across.end) / 2
    if small:
        sides = [middle - GAP / 2 + 2, middle + GAP / 2 - 2]
        title = f"{counted(small, 'score')} closer to 0 than {number(2 ** (first / 2))}"
        # They may be most of all, and would leave no room for the others.
        bars.append(_bar(frame, sides, min(small, highest), "small", title))
        if small > highest:
            bars.append(
                f'<text class="quiet" x="{middle:.1f}" y="{TOP + 10}" text-anchor="middle">'
                f"{small:,} near 0</text>"
            )
    what = f"Distribution of {counted(counts.total, 'score')} of {_queries(counts.queries)}"
    return _plot(what, [*frame.grid(), *bars])


def ranking_plot(values: Sequence[float], *, by: str, flipped: Sequence[int]) -> str | None:
    """Draw a ranking of the training examples; None where nothing in it is above 0.

    Parameters
    ----------
    values
        What they are ranked by, the largest first.
    by
        What that is, in words.
    flipped
        The ranks of examples whose labels were changed on purpose.
    """
    floor = max(values, default=0) * RANKING_FLOOR
    shown = [(rank + 1, value) for rank, value in enumerate(values) if value > floor]
    if not shown:
        return None
    kept = [shown[place] for place in _spread_out(len(shown))]
    frame = Frame(
        logarithmic(1, len(values), LEFT, WIDTH - RIGHT),
        logarithmic(kept[-1][1], kept[0][1], HEIGHT - BOTTOM, TOP),
        "rank among the training examples",
        by,
    )
    marks = [
        f'<circle class="flipped" cx="{frame.across(rank + 1):.1f}" '
        f'cy="{frame.down(values[rank]):.1f}" r="4"><title>rank {rank + 1:,}: label changed on '
        "purpose</title></circle>"
        for rank in flipped
        if values[rank] > floor
    ]
    what = f"{by.capitalize()} of {counted(len(values), 'training example')} by rank"
    return _plot(what, [*frame.grid(), _line(frame, kept, ""), *marks])


def spectrum_plot(spectrum: Mapping[str, Any]) -> str | None:
    """Draw the eigenvalues of each block, with its damping; None where none is above 0.

    Parameters
    ----------
    spectrum
        What ``spectrum.json`` says.
    """
    curves = []
    for block in spectrum["blocks"]:
        pairs = zip(block["ranks"], block["eigenvalues"], strict=True)
        above = [(rank, value) for rank, value in pairs if _positive(value)]
        if above:
            curves.append((block_label(block["name"]), block.get("damping"), above))
    if not curves:
        return None
    heights = [value for _, _, above in curves for _, value in above]
    floor = max(heights) * ROUNDING
    dampings = [damping for _, damping, _ in curves if _positive(damping)]
    frame = Frame(
        logarithmic(1, max(above[-1][0] for _, _, above in curves), LEFT, WIDTH - RIGHT),
        logarithmic(
            max(min(heights + dampings), floor), max(heights + dampings), HEIGHT - BOTTOM, TOP
        ),
        "rank of the eigenvalue" + ("" if spectrum.get("complete") else " (the largest only)"),
        "eigenvalue; thin lines: damping λ",
    )
    parts = frame.grid()
    for place, (name, damping, above) in enumerate(curves):
        dashes = DASHES[place % len(DASHES)]
        high = [(rank, value) for rank, value in above if value >= floor]
        title = name if damping is None else f"{name}: damping {number(damping)}"
        parts.append(_line(frame, high, dashes, title))
        if _positive(damping):
            y = f"{frame.down(damping):.1f}"
            parts.append(
                f'<line class="damping" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" '
                f'stroke-dasharray="{dashes}"/>'
            )
    if 1 < len(curves) <= len(DASHES):
        parts += _legend([name for name, _, _ in curves])
    return _plot(f"Spectrum: {spectrum.get('curvature', 'curvature')}", parts)


@dataclass(frozen=True)
class _SignedAxis:
    """Magnitudes by powers to both sides of a gap, negative ones to the left.

    ``low`` and ``high`` are logarithms to base 2.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        middle = (self.start + self.end) / 2
        length = (self.end - self.start - GAP) / 2
        share = (math.log2(abs(value)) - self.low) / (self.high - self.low)
        return middle + math.copysign(GAP / 2 + share * length, value)

    def ticks(self) -> list[tuple[float, str]]:
        power = math.log10(2)
        powers = range(math.ceil(self.low * power), math.floor(self.high * power) + 1)
        step = -(-len(powers) // MOST_TICKS)
        values = [10.0**exponent for exponent in powers if exponent % step == 0]
        middle = self(2.0**self.low) - GAP / 2
        return [
            (sign * value, f"{'−' if sign < 0 else ''}{written(value)}")
            for sign in (-1, 1)
            for value in values
            if self(value) - middle > BESIDE_THE_GAP
        ]


def _bar(frame: Frame, ends: Sequence[float], count: int, kind: str, title: str) -> str:
    left, right = ends
    top, bottom = frame.down(count), frame.down.start
    return (
        f'<rect class="column {kind}" x="{left:.1f}" y="{top:.1f}" '
        f'width="{right - left - 0.5:.1f}" height="{bottom - top:.1f}">'
        f"<title>{escaped(title)}</title></rect>"
    )


def _line(frame: Frame, points: Iterable[tuple[float, float]], dashes: str, title: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    named = f"<title>{escaped(title)}</title>" if title else ""
    return f'<polyline class="curve" points="{frame.path(points)}"{dashed}>{named}</polyline>'


def _legend(names: Sequence[str]) -> list[str]:
    """Name the lines of blocks at the upper right."""
    parts = []
    for place, name in enumerate(names):
        y = TOP + 14 + 17 * place
        dashes = f' stroke-dasharray="{DASHES[place]}"' if DASHES[place] else ""
        parts.append(
            f'<line class="curve" x1="{WIDTH - RIGHT - 160}" x2="{WIDTH - RIGHT - 128}" y1="{y}" '
            f'y2="{y}"{dashes}/><text x="{WIDTH - RIGHT - 120}" y="{y}" dy=".35em">'
            f"{escaped(short_name(name, LEGEND_NAME))}</text>"
        )
    return parts


def _plot(what: str, parts: Sequence[str]) -> str:
    return drawing(WIDTH, HEIGHT, what, parts)


def _spread_out(count: int) -> list[int]:
    """Choose places of a ranking whose logarithms are about evenly spread, both ends too."""
    if count <= POINTS:
        return [*range(count)]
    chosen = {round(count ** (step / (POINTS - 1))) - 1 for step in range(POINTS)}
    return sorted(chosen)


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < math.inf


def _queries(count: int) -> str:
    return counted(count, "query", "queries")
