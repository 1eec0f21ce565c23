"""Texts as data may hold them: markup, ends of scripts, other directions, control characters."""

from __future__ import annotations

from collections.abc import Iterable

MARKUP = (
    "<script>hostile('script')</script>",
    "</script><script>hostile('end of a script')</script>",
    "</title></style></noscript></textarea><img src=x onerror=hostile('image')>",
    "<!--<script>--><svg onload=hostile('svg')>",
    '"><b onmouseover="hostile(\'double\')" autofocus onfocus=hostile(1) tabindex=1>x</b>',
    "'><i onclick='hostile(2)'>y</i>",
    "javascript:hostile('address')",
    "&lt;b&gt; &amp;amp; &#60;script&#62;",
    "${hostile('template')} `hostile('tick')` {{constructor.constructor('hostile(3)')()}}",
    "]]> --> */ \\u003cscript\\u003e \\x3c \\",
)

WRITINGS = (
    "שלום עולם (right) 123",
    "\u202eoverridden to the left\u202c, \u2066isolated\u2069",
    "数字を認識する畳み込みニューラルネットワーク",
    "👩‍🔬🏳️‍🌈 e\u0301 a\u0308\u0323 \u200bzero width",
    "line\u2028separator\u2029paragraph\nnew line\r\ttab",
    "control \x00 \x01 \x08 \x1b[31m \x7f \x85 \ufeff \ufffe",
    "lone \ud83d surrogate",
    "W" * 150,
    "",
    "   ",
    "__proto__",
    "constructor",
)

HOSTILE = (*MARKUP, *WRITINGS)


def pieces(text: str) -> list[str]:
    """Return what has to be readable of a text: all but blanks, directions and control characters.

    A page may show something in place of those.
    """
    return "".join(character if character.isprintable() else " " for character in text).split()


def missing(texts: Iterable[str], page_text: str) -> list[str]:
    """Return those texts of which a piece is not in what a page shows."""
    return [text for text in texts if any(piece not in page_text for piece in pieces(text))]
