"""What ``hessinf evaluate`` prints: warnings, and a table for each metric."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from hessinf.commands.evaluate_run import FinishedEvaluation

WIDTH = 100

MOST_COMPARISONS = 10
"""So many differences of two rows are shown; of more, those of the best row."""


def tables(finished: FinishedEvaluation) -> str:
    """Describe a finished evaluation.

    Parameters
    ----------
    finished
        What :func:`hessinf.commands.evaluate_run.evaluate` returned.

    Returns
    -------
    str
        Text without colours.
    """
    results = json.loads(finished.results.read_text(encoding="utf-8"))
    done = "finished before" if finished.was_complete else "finished"
    return f"{describe(results)}\n\n{done}: all numbers are in {finished.results}"


def describe(results: Mapping[str, Any]) -> str:
    """Describe results: warnings first, then the problem, then a table for each metric.

    Parameters
    ----------
    results
        What :func:`hessinf.evaluation.evaluate` returned, or ``evaluation.json``.
    """
    blocks = [_wrapped(f"WARNING: {warning}") for warning in results["warnings"]]
    blocks.append(_problem(results["problem"]))
    blocks += [_metric(name, metric) for name, metric in results["metrics"].items()]
    return "\n\n".join(blocks)


def _problem(problem: Mapping[str, Any]) -> str:
    lines = [
        f"{problem['queries']['examples']:,} queries, "
        f"{problem['train']['examples']:,} training examples"
    ]
    for place, model in enumerate(problem["models"]):
        name = "model" if len(problem["models"]) == 1 else f"model {place}"
        parts = [
            f"{said} loss {_number(model[split]['loss'])}"
            + (
                f", accuracy {_number(model[split]['accuracy'])}"
                if "accuracy" in model[split]
                else ""
            )
            for split, said in (("train", "training"), ("queries", "query"))
        ]
        lines.append(f"{name}: {'; '.join(parts)}")
    return "\n".join(lines)


def _metric(name: str, metric: Mapping[str, Any]) -> str:
    config = metric["config"]
    kind = config["type"] if isinstance(config, dict) else config  # a class without a name
    better = "higher is better" if metric["higher_is_better"] else "lower is better"
    lines = [f"{name} ({better})" if name == kind else f"{name}: {kind} ({better})"]
    metric = {**metric, "columns": _filled_columns(metric)}
    lines += aligned(_header(metric), [_line(row, metric) for row in metric["rows"].items()])
    if metric["not_judged"]:
        lines.append(f"  not judged by this metric: {', '.join(metric['not_judged'])}")
    lines += _comparisons(metric)
    lines += [_wrapped(note, "  ") for note in metric["notes"]]
    return "\n".join(lines)


def _filled_columns(metric: Mapping[str, Any]) -> list[Any]:
    """Return the further columns that a row has something in."""
    rows = metric["rows"].values()
    return [
        [key, title]
        for key, title in metric["columns"]
        if any(summary.get(key) is not None for summary in rows)
    ]


def _comparisons(metric: Mapping[str, Any]) -> list[str]:
    """Show comparisons at the headline alpha, where they have one; of many, those of the best."""
    headline = metric["truth"].get("alpha")
    shown = [one for one in metric["comparisons"] if one.get("alpha", headline) == headline]
    if len(shown) > MOST_COMPARISONS:
        best = {one["better"] for one in shown} - {one["worse"] for one in shown}
        shown = [one for one in shown if one["better"] in best]
    left_out = len(metric["comparisons"]) - len(shown)
    lines = [f"  {_comparison(comparison)}" for comparison in shown]
    return lines + ([f"  {left_out} more comparisons are in the file"] if left_out else [])


def _header(metric: Mapping[str, Any]) -> list[str]:
    header = ["row", "value", *(["95 % interval"] if _has_intervals(metric) else [])]
    header += [title for _, title in metric["columns"]]
    return header + (["NaN"] if _has_missing(metric) else [])


def _line(row: tuple[str, Mapping[str, Any]], metric: Mapping[str, Any]) -> list[str]:
    name, summary = row
    cells = [name, _number(summary.get("value"))]
    cells += [_interval(summary.get("interval"))] if _has_intervals(metric) else []
    cells += [_cell(summary.get(key)) for key, _ in metric["columns"]]
    return cells + ([_number(summary.get("missing") or 0)] if _has_missing(metric) else [])


def _has_intervals(metric: Mapping[str, Any]) -> bool:
    return any(summary.get("interval") for summary in metric["rows"].values())


def _has_missing(metric: Mapping[str, Any]) -> bool:
    """Whether something was not defined, and the metric has no column of its own that says so."""
    if any(key == "missing" for key, _ in metric["columns"]):
        return False
    return any(summary.get("missing") for summary in metric["rows"].values())


def aligned(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Align columns: names to the left, numbers to the right."""
    table = [header, *lines]
    widths = [max(len(line[column]) for line in table) for column in range(len(header))]
    shown = []
    for line in table:
        cells = [line[0].ljust(widths[0])]
        cells += [
            cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True) if width
        ]
        shown.append("  " + "  ".join(cells).rstrip())
    return shown


def _comparison(comparison: Mapping[str, Any]) -> str:
    text = (
        f"{comparison['better']} - {comparison['worse']}: {_signed(comparison.get('difference'))}"
    )
    interval = _interval(comparison.get("interval"))
    return f"{text} {interval}" if interval else text


def _cell(value: Any) -> str:
    return _interval(value) if isinstance(value, list) else _number(value)


def _interval(interval: Any) -> str:
    if not isinstance(interval, list) or not interval:
        return ""
    return f"[{', '.join(_number(end) for end in interval)}]"


def _signed(value: Any) -> str:
    return f"+{_number(value)}" if isinstance(value, float) and value >= 0 else _number(value)


def _number(value: Any) -> str:
    """Round for people; the file keeps every digit."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if 0.01 <= abs(value) < 1000 or value == 0 else f"{value:.3g}"


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")
