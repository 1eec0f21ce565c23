"""The look and the behavior of pages: style sheets and scripts, without anything from a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

COLORS: Mapping[str, Mapping[str, str]] = {
    "light": {
        "paper": "#ffffff",
        "panel": "#f5f6f8",
        "text": "#1b1f24",
        "quiet": "#545d67",
        "line": "#d5dae0",
        "edge": "#828c97",
        "accent": "#0b5cad",
        "warning": "#8a4b00",
        "helpful": "#00689d",
        "harmful": "#b3440b",
        "agree": "#8fbcec",
        "disagree": "#f3b38a",
    },
    "dark": {
        "paper": "#14171b",
        "panel": "#1c2025",
        "text": "#eceff2",
        "quiet": "#a3acb6",
        "line": "#333b44",
        "edge": "#6d7782",
        "accent": "#7db8f5",
        "warning": "#f0b26b",
        "helpful": "#5ab4e5",
        "harmful": "#f2945c",
        "agree": "#1f4f86",
        "disagree": "#7c4420",
    },
}
"""By theme. Text is legible on paper and panel, and on each color that cells are filled with;
edges of controls stand out from both."""

SHARED_STYLES = ("base.css",)
COMPARISON_STYLES = (*SHARED_STYLES, "comparison.css")
REPORT_STYLES = (
    *SHARED_STYLES,
    "layout.css",
    "query_list.css",
    "example.css",
    "query_view.css",
    "suspects_view.css",
    "print.css",
)

THEME_SCRIPTS = ("theme.js",)
SHARED_SCRIPTS = ("elements.js", "theme_button.js")
COMPARISON_SCRIPTS = (*SHARED_SCRIPTS, "comparison.js")
REPORT_SCRIPTS = (
    *SHARED_SCRIPTS,
    "numbers.js",
    "segments.js",
    "report_data.js",
    "routes.js",
    "selection.js",
    "images.js",
    "tokens.js",
    "row_table.js",
    "example.js",
    "score_bar.js",
    "distribution.js",
    "groups.js",
    "virtual_list.js",
    "query_list.js",
    "query_view.js",
    "training_card.js",
    "example_view.js",
    "suspects_view.js",
    "help_dialog.js",
    "keyboard.js",
    "report.js",
)
"""In this order: what comes later uses what came before, and the last starts all."""


def comparison_style_sheet() -> str:
    """Return the style sheet of a comparison: the colors of the reader's theme, then the rules."""
    return _colors() + _joined(COMPARISON_STYLES)


def report_style_sheet() -> str:
    """Return the style sheet of a report."""
    return _colors() + _joined(REPORT_STYLES)


def theme_script() -> str:
    """Return what stands in the head of a page: it sets the chosen theme before the first paint."""
    return _script(THEME_SCRIPTS)


def comparison_script() -> str:
    """Return what stands at the end of a comparison: the button for the theme."""
    return _script(COMPARISON_SCRIPTS)


def report_script() -> str:
    """Return what stands at the end of a report: it fills the page from the page's segments."""
    return _script(REPORT_SCRIPTS)


def _colors() -> str:
    light, dark = (
        "".join(f" --{name}: {color};" for name, color in COLORS[theme].items())
        for theme in ("light", "dark")
    )
    # Paper is white, whatever the screen is.
    return (
        f":root {{ color-scheme: light;{light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{\n"
        f':root:not([data-theme="light"]) {{ color-scheme: dark;{dark} }} }}\n'
        f'@media screen {{ :root[data-theme="dark"] {{ color-scheme: dark;{dark} }} }}\n'
    )


def _script(names: Sequence[str]) -> str:
    """Put the files into one function, so that they share names with nothing but each other."""
    return f'(() => {{\n"use strict";\n{_joined(names)}}})();\n'


def _joined(names: Sequence[str]) -> str:
    folder = files("hessinf.reporting") / "page"
    return "".join((folder / name).read_text(encoding="utf-8") for name in names)
