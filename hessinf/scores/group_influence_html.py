"""The influence of groups in a notebook: a row a group, a column a query."""

from __future__ import annotations

from collections.abc import Sequence

from hessinf.display.html_table import Cell, html_table
from hessinf.display.html_text import Html, joined, with_minus
from hessinf.display.notebook import notebook_html
from hessinf.display.numbers import counted, number, signed
from hessinf.display.shades import shade

MOST_QUERIES, MOST_GROUPS = 8, 60
"""Columns and rows that are shown."""


def group_influence_html(
    names: Sequence[str], sizes: Sequence[int], scores: Sequence[Sequence[float]]
) -> Html:
    """Show the scores of groups.

    Parameters
    ----------
    names, sizes
        Of the groups.
    scores
        ``[Q, G]``; the first queries are shown.
    """
    queries = min(len(scores), MOST_QUERIES)
    shown = range(min(len(names), MOST_GROUPS))
    largest = max((abs(scores[q][g]) for q in range(queries) for g in shown), default=0.0)
    rows: list[list[str | Cell]] = [
        [
            names[group],
            number(sizes[group]),
            *(_cell(scores[query][group], largest) for query in range(queries)),
        ]
        for group in shown
    ]
    left_out = [
        counted(count, what)
        for count, what in (
            (len(names) - len(shown), "more group"),
            (len(scores) - queries, "more column"),
        )
        if count
    ]
    return notebook_html(
        joined(
            html_table(
                ("group", "examples", *(f"query {place}" for place in range(queries))),
                rows,
                caption="Scores of groups: positive where training more on them would help",
            ),
            Html(f"<p>and {' and '.join(left_out)}</p>") if left_out else "",
        )
    )


def _cell(score: float, largest: float) -> Cell:
    return Cell(with_minus(signed(score)), style=shade(score, largest))
