"""Results of metrics as HTML: a table of the rows, a table of differences of two."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hessinf.display.html_table import html_table
from hessinf.display.html_text import Html, escaped, joined, with_minus
from hessinf.display.notebook import notebook_html
from hessinf.display.numbers import interval, number, signed
from hessinf.evaluation.result_rows import (
    MISSING,
    better_words,
    column_number,
    filled_columns,
    headline_comparisons,
    interval_of,
    ranked_rows,
    sizes_text,
)

BASELINE = "baseline"
"""The class of rows that are there for comparison."""

DIFFERENCES = (
    "Paired differences: the same queries and the same retrained models for both. An interval that "
    "holds 0 tells nothing apart."
)


def metric_table(metric: Mapping[str, Any], *, baselines: Collection[str] = ()) -> Html:
    """Show what a metric says of each row, the best first.

    Parameters
    ----------
    metric
        One of ``"metrics"`` in ``evaluation.json``.
    baselines
        The rows that stand back.
    """
    rows = ranked_rows(metric)
    columns = filled_columns(metric)
    missing = any(summary.get(MISSING) for _, summary in rows)
    body = [
        [
            row,
            shown_value(summary.get("value")),
            shown_interval(summary),
            *(_cell(key, summary.get(key)) for key, _ in columns),
            *([number(summary.get(MISSING) or 0)] if missing else []),
        ]
        for row, summary in rows
    ]
    header = ("", "value", "95 % interval", *(title for _, title in columns))
    return html_table(
        (*header, "undefined") if missing else header,
        body,
        kinds=[BASELINE if row in baselines else "" for row, _ in rows],
    )


def difference_table(metric: Mapping[str, Any]) -> Html:
    """Show by how much a row is better than another; empty where nothing was compared.

    Parameters
    ----------
    metric
        As for :func:`metric_table`.
    """
    compared = headline_comparisons(metric)
    if not compared:
        return Html()
    body = [
        [one["better"], one["worse"], with_minus(signed(one["difference"])), shown_interval(one)]
        for one in compared
    ]
    return html_table(("better", "than", "by", "95 % interval"), body)


def results_html(results: Mapping[str, Any], *, also: Sequence[str] = ()) -> Html:
    """Show results in a notebook: warnings, then the tables of each metric.

    Parameters
    ----------
    results
        What :func:`hessinf.evaluation.evaluate` returned, or ``evaluation.json``.
    also
        What follows, as :class:`~hessinf.display.html_text.Html`.
    """
    problem = results["problem"]
    sizes = sizes_text(problem["queries"]["examples"], problem["train"]["examples"])
    parts = [Html(f"<p>{sizes}</p>")]
    parts += [Html(f"<p>Warning: {escaped(warning)}</p>") for warning in results["warnings"]]
    for name, metric in results["metrics"].items():
        parts.append(Html(f"<h4>{escaped(name)} ({better_words(metric)})</h4>"))
        parts.append(metric_table(metric))
        differences = difference_table(metric)
        if differences:
            parts += [Html(f"<p>{escaped(DIFFERENCES)}</p>"), differences]
        parts += [Html(f"<p>{escaped(note)}</p>") for note in metric["notes"]]
    return notebook_html(joined(*parts, *also))


def shown_value(value: Any) -> str:
    """Write a value, or that there is none."""
    return "undefined" if value is None else with_minus(number(value))


def shown_interval(summary: Mapping[str, Any]) -> str:
    """Write an interval, or nothing."""
    found = interval_of(summary)
    return "" if found is None else with_minus(interval(*found))


def _cell(key: str, value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return with_minus(column_number(key, value))
