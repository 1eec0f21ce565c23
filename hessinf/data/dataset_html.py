"""A data set in a notebook: what it is, and its first examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hessinf.display.example_html import example_html
from hessinf.display.html_table import Cell, html_table
from hessinf.display.html_text import Html, escaped, joined
from hessinf.display.notebook import notebook_html
from hessinf.display.numbers import counted
from hessinf.display.pixels import range_of_displays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hessinf.data.instance import Instance

FIRST = 5
"""Examples that are shown."""


def dataset_html(first: Sequence[Instance], title: str, count: int) -> Html:
    """Show the first examples of a data set.

    Parameters
    ----------
    first
        Them.
    title
        What stands above.
    count
        How many examples there are.
    """
    shown = range_of_displays(example.display for example in first)
    rows: list[list[str | Cell]] = [
        [example.id, Cell(example_html(example.display, shown=shown, columns=8, side=48), "text")]
        for example in first
    ]
    more = count - len(first)
    return notebook_html(
        joined(
            Html(f"<p>{escaped(title)}</p>"),
            html_table(("id", Cell("example", "text")), rows) if rows else "",
            Html(f"<p>and {counted(more, 'more example')}</p>") if more else "",
        )
    )
