"""How help is written: prose as wide as the terminal, command lines as they are."""

from __future__ import annotations

import argparse
import re

from hessinf.display.terminal import columns, wrapped

LAID_OUT = re.compile(r"^(?:[ \t]|-+$)", re.MULTILINE)
"""A line that is indented, or underlines a heading: its paragraph keeps its line breaks."""


class ProseHelp(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of descriptions, and breaks anew what is wider than the terminal."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        del width  # argparse's own leaves two columns free, and is 78 in a pipe
        room = columns()
        return "\n\n".join(_paragraph(one, room, indent) for one in text.split("\n\n"))


def _paragraph(text: str, width: int, indent: str) -> str:
    lines = [indent + line for line in text.splitlines()]
    if max(map(len, lines), default=0) <= width:
        return "\n".join(lines)
    if LAID_OUT.search(text):
        return "\n".join(_line(line, width) for line in lines)
    return "\n".join(wrapped(text, width, indent, indent))


def _line(line: str, width: int) -> str:
    """Break prose that introduces what is laid out; what is laid out stays whole."""
    prose = line.endswith(":") and not line.startswith(" ")
    return "\n".join(wrapped(line, width)) if prose else line
