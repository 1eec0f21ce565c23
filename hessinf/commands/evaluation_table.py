"""What ``hessinf evaluate`` prints: warnings, and a table for each metric."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hessinf.commands.evaluate_run import FinishedEvaluation
from hessinf.display.numbers import interval, number, percent, signed
from hessinf.display.terminal import PLAIN, WIDTH, Style, visible, wrapped
from hessinf.display.text_table import aligned
from hessinf.evaluation.result_rows import (
    MISSING,
    better_words,
    column_number,
    filled_columns,
    headline_comparisons,
    sizes_text,
)

MOST_COMPARISONS = 10
"""So many differences of two rows are shown; of more, those of the best row."""


def tables(finished: FinishedEvaluation, *, style: Style = PLAIN, width: int = WIDTH) -> str:
    """Describe a finished evaluation.

    Parameters
    ----------
    finished
        What :func:`hessinf.commands.evaluate_run.evaluate` returned.
    style, width
        Of the stream.

    Returns
    -------
    str
        Several lines.
    """
    results = json.loads(finished.results.read_text(encoding="utf-8"))
    return "\n\n".join(
        [
            describe(results, style=style, width=width),
            f"{style.bold(finished.ending)}: all numbers are in {finished.results}",
        ]
    )


def describe(results: Mapping[str, Any], *, style: Style = PLAIN, width: int = WIDTH) -> str:
    """Describe results: warnings first, then the problem, then a table for each metric.

    Parameters
    ----------
    results
        What :func:`hessinf.evaluation.evaluate` returned, or ``evaluation.json``.
    style, width
        Of the stream.
    """
    shown = _Shown(style, width)
    blocks = shown_warnings(results["warnings"], style, width)
    blocks.append(_problem(results["problem"]))
    blocks += [_metric(name, metric, shown) for name, metric in results["metrics"].items()]
    return "\n\n".join(blocks)


def shown_warnings(warnings: Sequence[str], style: Style, width: int) -> list[str]:
    """Return a block of text for each warning."""
    blocks = []
    for text in warnings:
        first, *others = wrapped(f"WARNING: {visible(text)}", width, "", "  ")
        colored = first.replace("WARNING:", style.warning("WARNING:"), 1)
        blocks.append("\n".join([colored, *others]))
    return blocks


@dataclass(frozen=True)
class _Shown:
    """How a stream shows texts and tables."""

    style: Style
    width: int

    def note(self, text: str) -> str:
        return "\n".join(wrapped(visible(text), self.width, "  ", "    "))


def _problem(problem: Mapping[str, Any]) -> str:
    lines = [sizes_text(problem["queries"]["examples"], problem["train"]["examples"])]
    for place, model in enumerate(problem["models"]):
        name = "model" if len(problem["models"]) == 1 else f"model {place}"
        parts = [
            f"{said} loss {number(model[split]['loss'])}"
            + (
                f", accuracy {percent(model[split]['accuracy'])}"
                if "accuracy" in model[split]
                else ""
            )
            for split, said in (("train", "training"), ("queries", "query"))
        ]
        lines.append(f"{name}: {'; '.join(parts)}")
    return "\n".join(lines)


def _metric(name: str, metric: Mapping[str, Any], shown: _Shown) -> str:
    config = metric["config"]
    kind = config["type"] if isinstance(config, dict) else config  # a class without a name
    called = name if name == kind else f"{visible(name)}: {kind}"
    lines = [f"{shown.style.bold(called)} ({better_words(metric)})"]
    metric = {**metric, "columns": filled_columns(metric)}
    rows = [_line(row, metric) for row in metric["rows"].items()]
    lines += aligned(_header(metric), rows, width=shown.width, split=True, style=shown.style)
    if metric["not_judged"]:
        lines.append(shown.note(f"not judged by this metric: {', '.join(metric['not_judged'])}"))
    lines += _comparisons(metric, shown)
    lines += [shown.note(note) for note in metric["notes"]]
    return "\n".join(lines)


def _comparisons(metric: Mapping[str, Any], stream: _Shown) -> list[str]:
    """Show comparisons at the headline alpha, where they have one; of many, those of the best."""
    shown = headline_comparisons(metric)
    if len(shown) > MOST_COMPARISONS:
        best = {one["better"] for one in shown} - {one["worse"] for one in shown}
        shown = [one for one in shown if one["better"] in best]
    left_out = len(metric["comparisons"]) - len(shown)
    rows = aligned(
        ["difference", "", "95 % interval"],
        [
            [
                f"{visible(one['better'])} - {visible(one['worse'])}",
                signed(one.get("difference")),
                _interval(one.get("interval")),
            ]
            for one in shown
        ],
        width=stream.width,
        style=stream.style,
    )
    lines = rows if shown else []
    return lines + ([f"  {left_out} more comparisons are in the file"] if left_out else [])


def _header(metric: Mapping[str, Any]) -> list[str]:
    header = ["row", "value", *(["95 % interval"] if _has_intervals(metric) else [])]
    header += [title for _, title in metric["columns"]]
    return header + (["NaN"] if _has_missing(metric) else [])


def _line(row: tuple[str, Mapping[str, Any]], metric: Mapping[str, Any]) -> list[str]:
    name, summary = row
    cells = [visible(name), number(summary.get("value"))]
    cells += [_interval(summary.get("interval"))] if _has_intervals(metric) else []
    cells += [_cell(key, summary.get(key)) for key, _ in metric["columns"]]
    return cells + ([number(summary.get(MISSING) or 0)] if _has_missing(metric) else [])


def _has_intervals(metric: Mapping[str, Any]) -> bool:
    return any(summary.get("interval") for summary in metric["rows"].values())


def _has_missing(metric: Mapping[str, Any]) -> bool:
    """Whether something was not defined."""
    return any(summary.get(MISSING) for summary in metric["rows"].values())


def _cell(key: str, value: Any) -> str:
    return _interval(value) if isinstance(value, list) else column_number(key, value)


def _interval(ends: Any) -> str:
    return interval(*ends) if isinstance(ends, list) and ends else ""
