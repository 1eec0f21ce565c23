"""Turns formulas into MathML while the site is built, so that pages need no script to show them."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)
"""What pymdownx.arithmatex makes of $...$ and of $$...$$."""

UNKNOWN = re.compile(r">(\\[A-Za-z]+)<")
"""What is left of a command that latex2mathml does not know: it would show as it is written."""


def on_page_content(content: str, *, page: Any, **_: Any) -> str:
    """Replace every formula of a page.

    Raises
    ------
    PluginError
        Where one cannot be read; it names the page and the formula.
    """
    return FORMULA.sub(lambda found: _mathml(found["tex"], found["tag"], page), content)


def _mathml(tex: str, tag: str, page: Any) -> str:
    source = html.unescape(tex).strip()
    display = "block" if tag == "div" else "inline"
    where = page.file.src_uri
    try:
        markup = str(convert(source, display=display))
    except Exception as error:  # latex2mathml has no common class for what it does not understand
        raise PluginError(f"{where}: cannot read the formula {source!r}: {error!r}") from error
    if found := UNKNOWN.search(markup):
        raise PluginError(f"{where}: the formula {source!r} has the unknown command {found[1]}")
    return markup
