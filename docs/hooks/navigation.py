"""Lets mkdocs.yml name a folder, ``FOLDER/*``, where each of its pages would have to be named."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from mkdocs.structure.files import Files


def on_files(files: Files, *, config: Any) -> Files:
    """Put the pages of folders into the navigation, those that other hooks made too."""
    pages = [file.src_uri for file in files.documentation_pages()]
    config.nav = [item for entry in config.nav for item in _expanded(entry, pages)]
    return files


def _expanded(entry: Any, pages: list[str]) -> list[Any]:
    """Return an entry of the navigation with its folders opened; nothing for an empty folder."""
    if isinstance(entry, str):
        return _pages_of(entry, pages)
    (title, content), *_ = entry.items()
    if isinstance(content, list):
        return [{title: [item for one in content for item in _expanded(one, pages)]}]
    if not content.endswith("/*"):
        return [entry]
    found = _pages_of(content, pages)
    return [{title: found}] if found else []


def _pages_of(entry: str, pages: list[str]) -> list[str]:
    if not entry.endswith("/*"):
        return [entry]
    folder = PurePosixPath(entry).parent
    found = [page for page in pages if PurePosixPath(page).parent == folder]
    return sorted(found, key=lambda page: (not page.endswith("/index.md"), page))
