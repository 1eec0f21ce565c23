"""The first queries of a run as plain HTML, for readers whose browser runs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hessinf.display.example_html import example_html
from hessinf.display.example_text import prediction_text, target_text
from hessinf.display.html_table import html_table
from hessinf.display.html_text import Html, escaped, joined
from hessinf.display.numbers import number, signed
from hessinf.display.pixels import ValueRange
from hessinf.reporting.page_displays import shortened

SHOWN = 3
"""Queries."""

LISTED = 5
"""Helpful and harmful examples of each."""

LONGEST = 500
"""Characters of a text."""

SIDES = {"helpful": "Most helpful", "harmful": "Most harmful"}


class FirstQueries:
    """Keeps the first queries that go by."""

    def __init__(self) -> None:
        self._lines: list[Mapping[str, Any]] = []

    def see(self, line: Mapping[str, Any]) -> None:
        """Look at an interpretation."""
        if len(self._lines) < SHOWN:
            self._lines.append(line)

    def html(self, labels: Sequence[str] | None, shown: ValueRange | None) -> Html:
        """Return the queries as HTML.

        Parameters
        ----------
        labels
            Names of classes by number; None where there are none.
        shown
            The values of images that are black and white.
        """
        names = dict(enumerate(labels or ()))
        return joined(*(_query(line, names, shown) for line in self._lines))


def _query(line: Mapping[str, Any], names: Mapping[int, str], shown: ValueRange | None) -> Html:
    def example(display: Mapping[str, Any]) -> Html:
        return example_html(display, shown=shown, characters=LONGEST, labeled=False)

    query = line["query"]
    parts = [
        Html(f"<h3><bdi>{escaped(shortened(query['id'], LONGEST))}</bdi></h3>"),
        example(query["display"]),
        Html(
            f"<p>target {escaped(_label(query, names))}, predicted "
            f"{escaped(prediction_text(query, names))}, loss {number(query['loss'])}</p>"
        ),
    ]
    for side, title in SIDES.items():
        rows = [
            [
                shortened(one["id"], LONGEST),
                example(one["display"]),
                _label(one, names),
                signed(one["score"]),
            ]
            for one in line[side][:LISTED]
        ]
        parts.append(html_table(["id", "example", "label", "score"], rows, caption=title))
    return joined(*parts)


def _label(example: Mapping[str, Any], names: Mapping[int, str]) -> str:
    """Name the label of an example, or the numbers that it has instead."""
    display, target = example["display"], example["target"]
    if isinstance(target, int) and target in names:
        display = {"label": names[target], **display}
    text: str = shortened(target_text(display, target), LONGEST)
    return text
