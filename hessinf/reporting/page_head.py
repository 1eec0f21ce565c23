"""What every page begins with: its title, its look, and that nothing comes from a network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from hessinf.display.html_text import Html, escaped
from hessinf.reporting.page_style import theme_script


def page_head(title: str, style: str, scripts: Sequence[str]) -> Html:
    """Return a document up to the end of its ``<head>``.

    Parameters
    ----------
    title
        Of the window.
    style
        The style sheet.
    scripts
        The texts of the scripts further down the page, which alone may run.
    """
    theme = theme_script()
    return Html(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy([theme, *scripts])}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escaped(title)}</title>\n<style>\n{style}</style>\n"
        f"<script>{theme}</script></head>"
    )


def _policy(scripts: Sequence[str]) -> str:
    """Allow the page's own scripts and nothing else: no network, whatever data would try."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
