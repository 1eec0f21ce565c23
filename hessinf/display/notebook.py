"""HTML in a notebook: light or dark, in the colors of the text around it."""

from __future__ import annotations

from hessinf.display.html_text import Html, escaped
from hessinf.display.shades import NEGATIVE, POSITIVE

STYLE = """\
.hessinf { overflow-x: auto; line-height: 1.4; }
.hessinf table { border-collapse: collapse; margin: .25em 0 .75em; border: 0; table-layout: auto;
  font-variant-numeric: tabular-nums; }
.hessinf caption { text-align: left; caption-side: top; padding: 0 0 .25em; color: inherit; }
.hessinf th, .hessinf td { padding: .2em .6em; text-align: right; vertical-align: middle;
  border: 0; border-bottom: 1px solid rgba(128, 128, 128, .35); background: transparent;
  color: inherit; max-width: none; }
.hessinf th[scope=row], .hessinf thead th:first-child, .hessinf td.text,
.hessinf th.text { text-align: left; }
.hessinf tr.baseline { opacity: .75; }
.hessinf td.agree { background: color-mix(in srgb, rgb(POSITIVE) calc(var(--share) / 2),
  transparent); }
.hessinf td.disagree { background: color-mix(in srgb, rgb(NEGATIVE) calc(var(--share) / 2),
  transparent); }
.hessinf p, .hessinf h2, .hessinf h4 { margin: .25em 0; max-width: 50em; }
.hessinf h2, .hessinf h4 { font-size: 1.1em; }
.hessinf .quiet { opacity: .75; }
.hessinf .sides { display: flex; flex-wrap: wrap; gap: 0 2em; align-items: flex-start; }
.hessinf .bar { display: inline-block; height: .7em; vertical-align: baseline; }
.hessinf .positive { background: rgb(POSITIVE); }
.hessinf .negative { background: rgb(NEGATIVE); }
""".replace("POSITIVE", POSITIVE).replace("NEGATIVE", NEGATIVE)
"""Grey lines and two colors that are seen on white and on black; everything else is inherited."""


def notebook_html(content: str) -> Html:
    """Wrap markup so that it looks right in a notebook, whatever its theme.

    Parameters
    ----------
    content
        :class:`~hessinf.display.html_text.Html`; plain text is escaped.
    """
    return Html(f'<div class="hessinf"><style>\n{STYLE}</style>{escaped(content)}</div>')
