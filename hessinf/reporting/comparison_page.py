"""The page of a comparison: agreement, quality and cost of several interpreters, for eyes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from hessinf.reporting.page_style import style_sheet
from hessinf.reporting.pareto_plot import Point, pareto_plot

MEBIBYTE = 2**20

SHORTEST = 1e-3
"""Seconds: what took less is drawn there, on an axis without a zero."""


def comparison_page(comparison: Mapping[str, Any], costs: Mapping[str, Any]) -> str:
    """Return a whole HTML document that needs no network.

    Parameters
    ----------
    comparison
        What ``comparison.json`` says.
    costs
        By row: "fit" and "score", each {"seconds", "cpu_seconds"}, and "peak_memory_bytes"; a row
        whose cost nobody measured is missing.
    """
    rows = [row["name"] for row in comparison["rows"]]
    metrics = (comparison["evaluation"] or {"metrics": {}})["metrics"]
    title = f"{len(rows)} interpreters, one model"
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{style_sheet()}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">{comparison["queries"]:,} queries against '
        f"{comparison['training_examples']:,} training examples, measurement "
        f"{escape(_spoken(comparison['measurement']))}, seed {comparison['seed']}.</p>",
        *(f'<p class="warning">{escape(text)}</p>' for text in comparison["warnings"]),
        *(part for name, one in metrics.items() for part in _metric(name, one, set(rows), costs)),
        *_agreement(comparison["agreement"]),
        *_costs(comparison["rows"], costs),
        *_rows(comparison["rows"]),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _metric(
    name: str, metric: Mapping[str, Any], own: set[str], costs: Mapping[str, Any]
) -> list[str]:
    """Show what a metric says of each row, the best first."""
    sign = -1 if metric["higher_is_better"] else 1
    rows = sorted(
        metric["rows"].items(),
        key=lambda row: (row[1]["value"] is None, sign * (row[1]["value"] or 0.0)),
    )
    columns = [
        (key, title)
        for key, title in metric["columns"]
        if key != "missing" and any(summary.get(key) is not None for _, summary in rows)
    ]
    body = [
        [
            row,
            _number(summary["value"]),
            _interval(summary.get("interval")),
            *(_cell(summary.get(key)) for key, _ in columns),
            _cell(summary.get("missing", 0)),
        ]
        for row, summary in rows
    ]
    head = ("", "value", "95 % interval", *(title for _, title in columns), "undefined")
    better = "higher is better" if metric["higher_is_better"] else "lower is better"
    shown = [
        f'<h2>Quality: {escape(name)} <span class="quiet">({better})</span></h2>',
        *(f"<p>{escape(note)}</p>" for note in metric["notes"]),
        _table(head, body, baselines=set(metric["rows"]) - own),
    ]
    points = [
        _point(row, summary, costs[row])
        for row, summary in rows
        if row in costs and summary["value"] is not None
    ]
    if points and metric["higher_is_better"]:
        shown += [
            '<p class="quiet">Filled with color: no other row is both cheaper and better.</p>',
            '<div class="scroll">',
            pareto_plot(points, cost="seconds to fit and score", quality=name),
            "</div>",
        ]
    headline = metric["truth"].get("alpha")
    paired = [one for one in metric["comparisons"] if one.get("alpha", headline) == headline]
    if paired:
        shown.append(_differences(paired))
    text = json.dumps(metric["truth"], indent=2, ensure_ascii=False)
    shown.append(f"<details><summary>What is true</summary><pre>{escape(text)}</pre></details>")
    return shown


def _point(row: str, summary: Mapping[str, Any], cost: Mapping[str, Any]) -> Point:
    interval = summary.get("interval")
    seconds = float(cost["fit"]["seconds"] + cost["score"]["seconds"])
    return Point(
        row, max(seconds, SHORTEST), summary["value"], tuple(interval) if interval else None
    )


def _differences(paired: Sequence[Mapping[str, Any]]) -> str:
    body = [
        [
            one["better"],
            one["worse"],
            "" if one["difference"] is None else f"{one['difference']:+.3f}",
            _interval(one.get("interval")),
        ]
        for one in paired
    ]
    caption = (
        "Paired differences: the same queries and the same retrained models for both. An interval "
        "that holds 0 tells nothing apart."
    )
    return _table(("better", "than", "by", "95 % interval"), body, caption=caption)


def _agreement(agreement: Mapping[str, Any]) -> list[str]:
    names = agreement["names"]
    by_chance = agreement["top_k_by_chance"]
    top_k = agreement["top_k"]
    undefined = max((count for row in agreement["undefined"] for count in row), default=0)
    shown = [
        "<h2>Agreement</h2>",
        _matrix(
            names,
            agreement["spearman"],
            "Rank correlation over all training examples, mean over queries"
            + (f"; undefined for up to {undefined:,} queries" if undefined else ""),
        ),
    ]
    for end in ("helpful", "harmful"):
        caption = (
            f"Share of the {top_k:,} most {end} examples that both have, mean over queries "
            f"(by chance {by_chance:.2g})"
        )
        shown.append(_matrix(names, agreement[f"top_k_{end}"], caption))
    return shown


def _matrix(names: Sequence[str], values: Sequence[Sequence[float | None]], caption: str) -> str:
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = []
    for name, row in zip(names, values, strict=True):
        cells = "".join(_colored(value) for value in row)
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption><thead><tr><th></th>'
        f"{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _colored(value: float | None) -> str:
    if value is None:
        return "<td>undefined</td>"
    kind = "agree" if value >= 0 else "disagree"
    return f'<td class="{kind}" style="--share: {100 * abs(value):.0f}%">{value:.2f}</td>'


def _costs(rows: Sequence[Mapping[str, Any]], costs: Mapping[str, Any]) -> list[str]:
    body = []
    for row in rows:
        cost = costs.get(row["name"])
        if cost is not None:
            body.append(
                [
                    row["name"],
                    *(f"{cost[stage]['seconds']:.2f}" for stage in ("fit", "score")),
                    f"{sum(cost[stage]['cpu_seconds'] for stage in ('fit', 'score')):.2f}",
                    f"{cost['peak_memory_bytes'] / MEBIBYTE:,.0f}",
                ]
            )
    if not body:
        return []
    head = ("", "fit, seconds", "score, seconds", "processor seconds", "peak memory, MiB")
    caption = "Each row in a process of its own; peak memory is that of the whole process."
    return ["<h2>Cost</h2>", _table(head, body, caption=caption)]


def _rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    shown = ["<h2>What was compared</h2>"]
    for row in rows:
        facts = {key: value for key, value in row.items() if key not in ("name", "from")}
        text = json.dumps(facts, indent=2, ensure_ascii=False)
        shown.append(
            f'<details><summary>{escape(row["name"])} <span class="quiet">'
            f"{escape(row['from'])}</span></summary><pre>{escape(text)}</pre></details>"
        )
    return shown


def _table(
    head: Sequence[str],
    body: Sequence[Sequence[str]],
    *,
    caption: str = "",
    baselines: set[str] | None = None,
) -> str:
    heads = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    rows = []
    for name, *cells in body:
        kind = ' class="baseline"' if name in (baselines or ()) else ""
        rest = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr{kind}><th scope="row">{escape(name)}</th>{rest}</tr>')
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{above}<thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _interval(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _spoken(specification: Any) -> str:
    """Name a registered object, with its arguments where it has any."""
    if not isinstance(specification, dict):
        return str(specification)
    arguments = {key: value for key, value in specification.items() if key != "type"}
    name = str(specification.get("type"))
    return f"{name} {json.dumps(arguments)}" if arguments else name
