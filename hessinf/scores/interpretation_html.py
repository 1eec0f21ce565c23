"""An interpretation in a notebook: the query, and its helpful and harmful examples side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hessinf.display.example_html import example_html
from hessinf.display.example_text import class_names, label_text, prediction_text, target_text
from hessinf.display.html_table import Cell, html_table
from hessinf.display.html_text import Html, escaped, joined, with_minus
from hessinf.display.notebook import notebook_html
from hessinf.display.numbers import counted, number, percent, signed
from hessinf.display.pixels import ValueRange, range_of_displays

IN_A_LIST: Mapping[str, Any] = {
    "columns": 4,
    "characters": 160,
    "side": 44,
    "largest": 96,
    "labeled": False,
    "compact": True,
}
"""How much of an example is shown in a list; of the query more."""

LONGEST_BAR = 6.0
"""In widths of a letter."""

SIDES = (
    ("helpful", "Helpful: training more on these would make the model better on the query"),
    ("harmful", "Harmful: training more on these would make the model worse on the query"),
)


def interpretation_html(line: Mapping[str, Any]) -> Html:
    """Show one interpretation.

    Parameters
    ----------
    line
        :meth:`hessinf.Interpretation.to_json`, or a line of ``interpretations.jsonl``.
    """
    query = line["query"]
    examples = [query, *line["helpful"], *line["harmful"]]
    shown = range_of_displays(example["display"] for example in examples)
    names = class_names(examples)
    scores = [abs(one["score"]) for one in (*line["helpful"], *line["harmful"])]
    largest = max(scores, default=0.0)
    lists = (_list(caption, line[side], largest, shown) for side, caption in SIDES)
    return notebook_html(
        joined(
            Html('<div class="sides">'),
            Html(f"<div>{example_html(query['display'], shown=shown, labeled=False)}</div>"),
            _facts(query, names),
            Html("</div>"),
            Html('<div class="sides">'),
            *lists,
            Html("</div>"),
            _distribution(line.get("scores")),
        )
    )


def _facts(query: Mapping[str, Any], names: Mapping[int, str]) -> Html:
    """Show what is known of the query, as a table of two columns."""
    target = with_minus(target_text(query["display"], query["target"]))
    probability = (query.get("probability") or {}).get("target")
    rows = [
        ("query", query["id"]),
        ("target", target if probability is None else f"{target} ({percent(probability)})"),
        ("prediction", with_minus(prediction_text(query, names))),
        ("loss", with_minus(number(query["loss"]))),
    ]
    if query["measurement"] != query["loss"]:
        rows.append(("measurement", with_minus(number(query["measurement"]))))
    table = html_table(("", ""), [[name, Cell(text, "text")] for name, text in rows])
    return Html(f"<div>{table}</div>")


def _list(
    caption: str,
    influences: Sequence[Mapping[str, Any]],
    largest: float,
    shown: ValueRange | None,
) -> Html:
    refined = any(one.get("loss_change_refined") is not None for one in influences)
    changes = any(one["loss_change_if_removed"] is not None for one in influences)
    header: list[str | Cell] = [
        "",
        Cell("example", "text"),
        Cell("label", "text"),
        "score",
        "",
        "loss",
    ]
    header += ["loss change if removed"] * changes + ["refined"] * refined
    rows = []
    for one in influences:
        display = one["display"]
        cells: list[str | Cell] = [
            one["id"],
            Cell(
                example_html(
                    display, shown=shown, token_influence=one.get("token_influence"), **IN_A_LIST
                ),
                "text",
            ),
            Cell(with_minus(label_text(display, one["target"])), "text"),
            with_minus(signed(one["score"])),
            Cell(_bar(one["score"], largest), "text"),
            with_minus(number(one["loss"])),
        ]
        if changes:
            cells.append(with_minus(signed(one["loss_change_if_removed"])))
        if refined:
            cells.append(with_minus(signed(one.get("loss_change_refined"))))
        rows.append(cells)
    return Html(f"<div>{html_table(header, rows, caption=caption)}</div>")


def _bar(score: float, largest: float) -> Html:
    width = LONGEST_BAR * abs(score) / largest if largest > 0 else 0.0
    kind = "positive" if score >= 0 else "negative"
    return Html(f'<span class="bar {kind}" style="width: {width:.2f}em"></span>')


def _distribution(scores: Mapping[str, Any] | None) -> Html:
    """Say what scores are usual, so that those of the lists can be judged."""
    if scores is None:
        return Html()
    return Html(
        f"<p>Scores of {escaped(counted(scores['count'], 'training example'))}: mean "
        f"{with_minus(number(scores['mean']))}, standard deviation "
        f"{number(scores['standard_deviation'])}.</p>"
    )
