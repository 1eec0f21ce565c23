"""Turns the cross-references of docstrings, such as :meth:`fit`, into links or plain code."""

from __future__ import annotations

import re
from typing import Any

ROLE = re.compile(r":(?:meth|class|func|data|mod|attr|exc):<code>~?([^<]+)</code>")


def on_page_content(content: str, **_: Any) -> str:
    """Replace every role of a page; mkdocs-autorefs makes links of those that it finds."""
    return ROLE.sub(_reference, content)


def _reference(found: re.Match[str]) -> str:
    path = found[1]
    name = path.rpartition(".")[2]
    return f'<autoref identifier="{path}" optional><code>{name}</code></autoref>'
