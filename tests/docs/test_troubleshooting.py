"""Every message that the page explains is one that the package prints."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.blocks import DOCS, ROOT

TERM = re.compile(r"^(.+)\n\n:   ", re.MULTILINE)


def messages() -> list[str]:
    """The quoted messages of the page: its terms that are code."""
    terms = TERM.findall((DOCS / "troubleshooting.md").read_text(encoding="utf-8"))
    return [
        message
        for term in terms
        if term.startswith("`")
        for message in re.split(r"(?<=`), (?=`)", term)
    ]


def texts() -> str:
    """All texts of the package's code, holes of f-strings and formats as ``…``."""
    parts: list[str] = []
    for path in (ROOT / "hessinf").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts.append(
                    "".join(
                        str(piece.value) if isinstance(piece, ast.Constant) else "…"
                        for piece in node.values
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts.append(re.sub(r"%(\.\d)?[sdg]", "…", node.value))
    return "\n".join(parts)


@pytest.fixture(scope="module")
def said() -> str:
    return texts()


@pytest.mark.parametrize("message", messages())
def test_the_package_says_it(message: str, said: str) -> None:
    """Each part of a message between its holes stands in some text of the code."""
    for part in re.split(r'…|\d|"[a-z]+"', message.strip("`")):
        words = part.strip(' ";:,.?')
        if len(words) > 3:
            assert words in said, words


def test_messages_are_found() -> None:
    assert len(messages()) >= 25
