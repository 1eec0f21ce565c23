"""Tables of aligned columns, as text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

from hessinf.display.terminal import PLAIN, Style

CODES = re.compile(r"\x1b\[[0-9;]*m")
"""What :class:`hessinf.display.terminal.Style` puts around texts."""

NARROWEST = 8
"""Cells below which a column is not made narrower."""


def aligned(
    header: Sequence[str],
    lines: Sequence[Sequence[str]],
    *,
    left: Collection[int] = (0,),
    width: int | None = None,
    split: bool = False,
    style: Style = PLAIN,
    indent: str = "  ",
    gap: str = "  ",
) -> list[str]:
    """Align columns: names to the left, numbers to the right.

    Columns in which no line has anything are left out.

    Parameters
    ----------
    header
        The titles, which may have several lines; bold where the style has that. Where all are empty
        there is no header.
    lines
        The cells of each line, as many as titles.
    left
        The columns of names, by number; the last columns count from -1 down.
    width
        Cells that a line may take: names are cut where it takes more, those of the first column in
        their middle. None for as many as needed.
    split
        Whether a table that is still too wide becomes several, one below the other, each with the
        first column. Names of up to a quarter of a line are not cut then.
    style
        Of the stream.
    indent, gap
        What stands before each line, and between columns.

    Returns
    -------
    list of str
        A line each, without blanks at its end.
    """
    titles = _title_lines(header)
    table = [*titles, *lines]
    widths = [
        max(map(cells, column)) if any(column[len(titles) :]) or not lines else 0
        for column in zip(*table, strict=True)
    ]
    named = {column % len(header) for column in left} if header else set()
    room = None if width is None else width - cells(indent)
    parts = [list(range(len(widths)))]
    if room is not None:
        kept = max(room // 4, NARROWEST) if split else NARROWEST
        widths = _narrowed(widths, named, room, cells(gap), kept)
        if split:
            parts = _parts(widths, room, cells(gap))
    shown = []
    for part in parts:
        for place, line in enumerate(table):
            filled = [
                padded(
                    shortened(line[column], widths[column], middle=column == 0),
                    widths[column],
                    right=column not in named,
                )
                for column in part
                if widths[column]
            ]
            text = gap.join(filled).rstrip()
            shown.append((indent + (style.bold(text) if place < len(titles) else text)).rstrip())
        shown.append("")
    return shown[:-1]


def _parts(widths: Sequence[int], width: int, gap: int) -> list[list[int]]:
    """Divide columns among tables that fit, each with the first column."""
    parts, taken = [[0]], widths[0]
    for column, wide in enumerate(widths[1:], start=1):
        if taken + gap + wide > width and len(parts[-1]) > 1:
            parts.append([0])
            taken = widths[0]
        parts[-1].append(column)
        taken += gap + wide if wide else 0
    return parts


def _title_lines(header: Sequence[str]) -> list[list[str]]:
    """Return the lines of titles; the last lines of all stand beside each other."""
    if not any(header):
        return []
    split = [title.split("\n") for title in header]
    height = max(map(len, split))
    padded_ones = [[""] * (height - len(one)) + one for one in split]
    return [list(line) for line in zip(*padded_ones, strict=True)]


def _narrowed(
    widths: Sequence[int], named: Collection[int], width: int, gap: int, kept: int
) -> list[int]:
    """Take cells from the widest columns of names, which keep some, until a line fits.

    Where it cannot fit, names stay whole: a table in parts, or a line that the terminal breaks, can
    still be read.
    """
    narrowed = list(widths)
    taken = sum(widths) + gap * (sum(map(bool, widths)) - 1)
    while taken > width:
        widest = max(named, key=lambda column: (narrowed[column], -column), default=None)
        if widest is None or narrowed[widest] <= kept:
            return list(widths)
        narrowed[widest] -= 1
        taken -= 1
    return narrowed


def cells(text: str) -> int:
    """Count the cells that a text takes in a terminal.

    Wide characters of East Asia and emoji take two, combining ones and codes for colors none.

    Parameters
    ----------
    text
        One line.
    """
    if text.isascii() and "\x1b" not in text:
        return len(text)
    return sum(map(_cells_of, CODES.sub("", text)))


def _cells_of(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Fill a text with blanks up to some cells; before it where it belongs to the right."""
    blanks = " " * (width - cells(text))
    return blanks + text if right else text + blanks


def shortened(text: str, width: int, *, middle: bool = False) -> str:
    """Cut a text that takes more than some cells, and mark the cut; the codes in it are lost.

    Parameters
    ----------
    text
        One line.
    width
        Cells that it may take.
    middle
        Whether the end is kept as well, in which ids and paths differ.
    """
    if cells(text) <= width:
        return text
    plain = CODES.sub("", text)
    end = _beginning(plain[::-1], (width - 1) // 2)[::-1] if middle else ""
    return f"{_beginning(plain, width - 1 - cells(end))}…{end}"


def _beginning(text: str, width: int) -> str:
    used = 0
    for place, character in enumerate(text):
        used += _cells_of(character)
        if used > width:
            return text[:place]
    return text
