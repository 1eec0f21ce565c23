"""The look of pages: one style sheet, light and dark, without anything from a network."""

from __future__ import annotations

from collections.abc import Mapping

COLORS: Mapping[str, Mapping[str, str]] = {
    "light": {
        "paper": "#ffffff",
        "text": "#1b1f24",
        "quiet": "#57606a",
        "line": "#d0d7de",
        "accent": "#0b5cad",
        "warning": "#8a4b00",
        "agree": "#8fbcec",
        "disagree": "#f3b38a",
    },
    "dark": {
        "paper": "#14171b",
        "text": "#eceff2",
        "quiet": "#a3acb6",
        "line": "#3a424b",
        "accent": "#7db8f5",
        "warning": "#f0b26b",
        "agree": "#1f4f86",
        "disagree": "#7c4420",
    },
}
"""By theme. Text is legible on paper, and on each color that cells are filled with."""

RULES = """\
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 70rem; background: var(--paper);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { max-width: 48rem; margin: .5rem 0; }
p, h2, summary, th[scope=row] { overflow-wrap: anywhere; }
.quiet { color: var(--quiet); }
.warning { color: var(--warning); border-left: 4px solid; padding-left: .75rem; }
.scroll { overflow-x: auto; margin: .75rem 0 1.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); padding-bottom: .25rem; width: max-content;
  max-width: min(48rem, 90vw); }
th, td { padding: .3rem .6rem; border: 1px solid var(--line); text-align: right; }
th { font-weight: 600; }
th[scope=row], thead th:first-child { text-align: left; min-width: 9rem; max-width: 20rem; }
td.agree { background: color-mix(in srgb, var(--agree) var(--share), var(--paper)); }
td.disagree { background: color-mix(in srgb, var(--disagree) var(--share), var(--paper)); }
tr.baseline th, tr.baseline td { color: var(--quiet); font-weight: 400; }
svg { width: 100%; min-width: 38rem; max-width: 48rem; height: auto; display: block; }
svg text { fill: var(--text); font: 13px system-ui, sans-serif; paint-order: stroke;
  stroke: var(--paper); stroke-width: 3px; }
svg text.quiet { fill: var(--quiet); }
svg .grid { stroke: var(--line); }
svg .interval { stroke: var(--quiet); }
svg .front { stroke: var(--accent); fill: none; stroke-dasharray: 5 4; }
svg .point { fill: var(--quiet); }
svg .point.best { fill: var(--accent); }
details pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--line); }
"""


def style_sheet() -> str:
    """Return the style sheet: the colors of the reader's theme, then the rules."""
    light, dark = (
        "".join(f" --{name}: {color};" for name, color in COLORS[theme].items())
        for theme in ("light", "dark")
    )
    return (
        f":root {{ color-scheme: light dark;{light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{{dark} }} }}\n{RULES}"
    )
