"""Tables as HTML: escaped, with a caption and named rows, for pages and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hessinf.display.html_text import Html, escaped


@dataclass(frozen=True)
class Cell:
    """A cell that is more than its text.

    Parameters
    ----------
    content
        Text, which is escaped, or :class:`Html`.
    kind
        Names of classes, with blanks between; the style sheet knows them.
    style
        Declarations for this cell alone, such as ``"--share: 40%"``.
    hint
        What is shown when one points at it.
    """

    content: str
    kind: str = ""
    style: str = ""
    hint: str = ""


def html_table(
    header: Sequence[str | Cell],
    rows: Sequence[Sequence[str | Cell]],
    *,
    caption: str = "",
    kind: str = "",
    kinds: Sequence[str] = (),
    named: bool = True,
) -> Html:
    """Return a ``<table>``.

    Parameters
    ----------
    header
        The title of each column, as cells are; where all are empty the table has no header.
    rows
        Cells as text, which is escaped; :class:`Html`; or :class:`Cell`.
    caption
        What stands above.
    kind
        Names of classes of the table.
    kinds
        Names of classes for each row; none where left out.
    named
        Whether the first cell of a row names it.

    Returns
    -------
    Html

    Raises
    ------
    ValueError
        When rows have another number of cells than there are columns.
    """
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells in a table of {len(header)} columns")
    parts = [f"<caption>{escaped(caption)}</caption>"] if caption else []
    if any(header):
        heads = "".join(map(_title, header))
        parts.append(f"<thead><tr>{heads}</tr></thead>")
    body = "".join(
        f"<tr{_attribute('class', row_kind)}>{_cells(row, named)}</tr>"
        for row, row_kind in zip(rows, kinds or [""] * len(rows), strict=True)
    )
    return Html(f"<table{_attribute('class', kind)}>{''.join(parts)}<tbody>{body}</tbody></table>")


def _title(given: str | Cell) -> str:
    cell = given if isinstance(given, Cell) else Cell(given)
    # An empty header would be announced as one without a name.
    if not cell.content:
        return "<td></td>"
    return f'<th scope="col"{_look(cell)}>{escaped(cell.content)}</th>'


def _cells(row: Sequence[str | Cell], named: bool) -> str:
    return "".join(_cell(cell, name=named and place == 0) for place, cell in enumerate(row))


def _cell(given: str | Cell, *, name: bool) -> str:
    cell = given if isinstance(given, Cell) else Cell(given)
    tag = "th" if name else "td"
    scope = ' scope="row"' if name else ""
    return f"<{tag}{scope}{_look(cell)}>{escaped(cell.content)}</{tag}>"


def _look(cell: Cell) -> str:
    return (
        _attribute("class", cell.kind)
        + _attribute("style", cell.style)
        + _attribute("title", cell.hint)
    )


def _attribute(name: str, value: str) -> str:
    return f' {name}="{escaped(value)}"' if value else ""
