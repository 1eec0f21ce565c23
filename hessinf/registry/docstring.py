"""Reading docstrings: the first paragraph, and the sections that numpydoc defines."""

from __future__ import annotations

import inspect
import re


def summary(text: str | None) -> str:
    """Return the first paragraph on one line; empty without a docstring."""
    if not text:
        return ""
    paragraph = inspect.cleandoc(text).split("\n\n")[0]
    return " ".join(paragraph.split())


def explanation(text: str | None) -> tuple[str, ...]:
    """Return the paragraphs between the first one and the titled sections, on one line each.

    Examples (paragraphs that are indented) and the paragraph that names the catalogue are left out.
    """
    if not text:
        return ()
    before = re.split(r"^\w[\w ]*\n-{3,}\n", inspect.cleandoc(text), flags=re.MULTILINE)[0]
    return tuple(
        " ".join(paragraph.split())
        for paragraph in before.split("\n\n")[1:]
        if paragraph.strip() and not paragraph.startswith((" ", "Registered as "))
    )


def sections(text: str | None) -> dict[str, str]:
    """Split a docstring at its underlined titles: ``{"Parameters": ..., "Cost": ...}``."""
    if not text:
        return {}
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.cleandoc(text), flags=re.MULTILINE)
    return {title: body.strip("\n") for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def parameters(text: str | None) -> dict[str, str]:
    """Return what a docstring says of each parameter, on one line each."""
    entries: dict[str, list[str]] = {}
    names: list[str] = []
    for line in sections(text).get("Parameters", "").splitlines():
        if line and not line[0].isspace():
            names = [name.strip(" *") for name in line.partition(":")[0].split(",")]
            entries.update({name: [] for name in names})
        else:
            for name in names:
                entries[name].append(line.strip())
    return {name: " ".join(" ".join(lines).split()) for name, lines in entries.items()}
