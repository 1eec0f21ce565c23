"""HTML from what may hold anything: texts, ids and names are escaped, once.

A plain ``str`` is text and is escaped where it goes into HTML; :class:`Html` is markup and is not.
"""

from __future__ import annotations

import re
from html import escape

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that HTML forbids, or that would break a line; tab and end of line are kept."""

SURROGATE = re.compile("[\ud800-\udfff]")
"""Halves of characters, which JSON can say and UTF-8 cannot."""

PICTURES = 0x2400
"""Where Unicode has a picture of each control character: ␀, ␁, ..."""

DELETE = "\x7f"

SIGN = re.compile(r"(?<![\w.])-(?=\d|inf)")
"""A hyphen that stands for a minus, before a number; not one in an exponent."""


class Html(str):
    """Markup: what is in it from outside has been escaped."""

    __slots__ = ()


def printable(text: str) -> str:
    """Replace what cannot stand in a page by what can be seen there.

    Parameters
    ----------
    text
        Anything.

    Returns
    -------
    str
        Control characters as their pictures (␀ for the first), halves of characters as ``�``.
    """
    return SURROGATE.sub("�", CONTROL.sub(_picture, text))


def _picture(found: re.Match[str]) -> str:
    character = found.group()
    if character == DELETE:
        return "␡"
    return chr(PICTURES + ord(character)) if character < " " else "�"


def escaped(text: str) -> Html:
    """Turn text into markup that shows it; markup stays as it is.

    Parameters
    ----------
    text
        Plain text, or :class:`Html`.

    Returns
    -------
    Html
        It may also stand in an attribute between quotes.
    """
    return text if isinstance(text, Html) else Html(escape(printable(text)))


def joined(*parts: str) -> Html:
    """Put parts one after another, escaping those that are plain text."""
    return Html("".join(escaped(part) for part in parts))


def with_minus(numbers: str) -> str:
    """Write the signs of numbers as minus signs (−), which are as wide as a plus."""
    return SIGN.sub("−", numbers)
