"""The page of a comparison: agreement, quality and cost of several interpreters, for eyes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hessinf.display.html_table import Cell, html_table
from hessinf.display.html_text import Html, escaped, joined, with_minus
from hessinf.display.notebook import notebook_html
from hessinf.display.numbers import counted, number
from hessinf.evaluation.result_rows import better_words, ranked_rows
from hessinf.evaluation.result_tables import (
    DIFFERENCES,
    difference_table,
    metric_table,
    shown_interval,
    shown_value,
)
from hessinf.reporting.comparison_costs import (
    KINDS,
    STAGES,
    cost_of,
    cost_points,
    metrics_of,
    row_names,
    sum_of,
)
from hessinf.reporting.page_head import page_head
from hessinf.reporting.page_style import comparison_script, comparison_style_sheet
from hessinf.reporting.pareto_plot import pareto_plot
from hessinf.reporting.short_names import short_name
from hessinf.reporting.spoken_config import spoken

COLUMN_NAME, ROW_NAME = 16, 32
"""Characters of a name above a column of a matrix, and beside a row."""

FRONT = "Filled with color: no other row is both {cheaper} and better."
CHEAPER = {"seconds": "faster", "memory": "smaller"}


def comparison_page(
    comparison: Mapping[str, Any],
    costs: Mapping[str, Any],
    files: Sequence[tuple[str, str]] = (),
) -> str:
    """Return a whole HTML document that needs no network.

    Parameters
    ----------
    comparison
        What ``comparison.json`` says.
    costs
        By row: "fit" and "score", each {"seconds", "cpu_seconds"}, and "peak_memory_bytes"; a row
        whose cost nobody measured is missing.
    files
        Addresses of files beside the page, and what they hold.
    """
    names = row_names(comparison)
    title = f"{counted(len(names), 'interpreter')}, one model"
    body = joined(
        _facts(title, comparison),
        _overview(comparison, costs),
        *(_metric(name, one, set(names), costs) for name, one in metrics_of(comparison).items()),
        _agreement(comparison["agreement"]),
        _costs(comparison["rows"], costs),
        _rows(comparison["rows"]),
        _files(files),
    )
    script = comparison_script()
    return (
        f"{page_head(title, comparison_style_sheet(), [script])}\n<body>{body}</main>"
        f"<script>{script}</script></body></html>\n"
    )


def comparison_html(comparison: Mapping[str, Any], costs: Mapping[str, Any]) -> Html:
    """Show a comparison in a notebook: quality and cost at a glance, and agreement.

    Parameters
    ----------
    comparison, costs
        As for :func:`comparison_page`.
    """
    return notebook_html(joined(_overview(comparison, costs), _agreement(comparison["agreement"])))


def _facts(title: str, comparison: Mapping[str, Any]) -> Html:
    warnings = (f'<p class="warning">{escaped(text)}</p>\n' for text in comparison["warnings"])
    return Html(
        f'<header><h1>{escaped(title)}</h1><div class="tools"></div></header>\n<main>'
        f'<p class="quiet">{counted(comparison["queries"], "query", "queries")} against '
        f"{counted(comparison['training_examples'], 'training example')}, measurement "
        f"{escaped(spoken(comparison['measurement']))}, seed {comparison['seed']}.</p>\n"
        f"{''.join(warnings)}"
    )


def _overview(comparison: Mapping[str, Any], costs: Mapping[str, Any]) -> Html:
    """Show each row's quality and cost, the best by the first metric first."""
    metrics = metrics_of(comparison)
    names = list(row_names(comparison))
    if metrics:
        ranked = [name for name, _ in ranked_rows(next(iter(metrics.values())))]
        names.sort(key=lambda name: ranked.index(name) if name in ranked else len(ranked))
    header = [""]
    for name in metrics:
        header += [name, "95 % interval"]
    header += [kind.axis.replace(" of the whole process", "") for kind in KINDS.values()]
    body = []
    for name in names:
        cells = [name]
        for metric in metrics.values():
            summary = metric["rows"].get(name)
            cells += ["", ""] if summary is None else _quality(summary)
        cells += [number(cost_of(costs[name], kind)) if name in costs else "" for kind in KINDS]
        body.append(cells)
    said = "" if metrics else (
        "Nobody has judged their quality: add a config with an evaluation, such as "
        "configs/evaluation/lds.jsonnet, to the configs that are compared."
    )  # fmt: skip
    return joined(
        Html("<h2>At a glance</h2>\n"),
        _paragraph(said),
        _scrolled(html_table(header, body), "At a glance"),
    )


def _quality(summary: Mapping[str, Any]) -> list[str]:
    return [shown_value(summary.get("value")), shown_interval(summary)]


def _metric(name: str, metric: Mapping[str, Any], own: set[str], costs: Mapping[str, Any]) -> Html:
    """Show what a metric says of each row, the best first, and beside what the rows cost."""
    better = better_words(metric)
    parts: list[str] = [
        Html(f'<h2>Quality: {escaped(name)} <span class="quiet">({better})</span></h2>\n'),
        *(_paragraph(note) for note in metric["notes"]),
        _scrolled(metric_table(metric, baselines=set(metric["rows"]) - own), f"Quality by {name}"),
    ]
    for kind, described in KINDS.items():
        points = cost_points(metric, costs, kind)
        if points:
            plot = pareto_plot(
                points,
                cost=described.axis,
                quality=f"{name} ({better})",
                unit=described.unit,
                higher_is_better=metric["higher_is_better"],
            )
            caption = FRONT.format(cheaper=CHEAPER[kind])
            parts += [_quiet(caption), _scrolled(plot, f"{name} beside {described.axis}")]
    differences = difference_table(metric)
    if differences:
        parts += [_quiet(DIFFERENCES), _scrolled(differences, f"Differences in {name}")]
    parts.append(_details(Html("What is true"), metric["truth"]))
    return joined(*parts)


def _agreement(agreement: Mapping[str, Any]) -> Html:
    names = agreement["names"]
    top_k = agreement["top_k"]
    undefined = max((count for row in agreement["undefined"] for count in row), default=0)
    chance = f"by chance {number(agreement['top_k_by_chance'])}"
    matrices = [
        (
            agreement["spearman"],
            "Rank correlation (Spearman) over all training examples, mean over queries"
            + (f"; undefined for up to {undefined:,} queries" if undefined else ""),
        ),
        *(
            (
                agreement[f"top_k_{end}"],
                f"Share of the {top_k:,} most {end} examples that both have, mean over queries "
                f"({chance})",
            )
            for end in ("helpful", "harmful")
        ),
    ]
    parts: list[str] = [Html("<h2>Agreement</h2>\n")]
    for values, caption in matrices:
        parts += [_quiet(f"{caption}."), _scrolled(_matrix(names, values), caption)]
    return joined(*parts)


def _matrix(names: Sequence[str], values: Sequence[Sequence[float | None]]) -> Html:
    body: list[list[str | Cell]] = [
        [_named(name, ROW_NAME), *map(_colored, row)]
        for name, row in zip(names, values, strict=True)
    ]
    header: list[str | Cell] = ["", *(_named(name, COLUMN_NAME) for name in names)]
    return html_table(header, body, kind="matrix")


def _named(name: str, longest: int) -> Cell:
    """Shorten a name, and show all of it to who points at it."""
    shown = short_name(name, longest)
    return Cell(shown, hint="" if shown == name else name)


def _colored(value: float | None) -> str | Cell:
    if value is None:
        return "undefined"
    kind = "agree" if value >= 0 else "disagree"
    return Cell(with_minus(f"{value:.2f}"), kind, f"--share: {100 * abs(value):.0f}%")


def _costs(rows: Sequence[Mapping[str, Any]], costs: Mapping[str, Any]) -> Html:
    body = [
        [
            row["name"],
            *(number(float(cost[stage]["seconds"])) for stage in STAGES),
            number(sum_of(cost, "cpu_seconds")),
            number(cost_of(cost, "memory")),
        ]
        for row in rows
        if (cost := costs.get(row["name"])) is not None
    ]
    if not body:
        return Html()
    head = ("", "fit, seconds", "score, seconds", "processor seconds", "peak memory, MiB")
    caption = "Each row in a process of its own; peak memory is that of the whole process."
    return joined(
        Html("<h2>Cost</h2>\n"), _quiet(caption), _scrolled(html_table(head, body), "Cost")
    )


def _rows(rows: Sequence[Mapping[str, Any]]) -> Html:
    parts: list[str] = [Html("<h2>What was compared</h2>\n")]
    for row in rows:
        facts = {key: value for key, value in row.items() if key not in ("name", "from")}
        title = joined(row["name"], Html(' <span class="quiet">'), row["from"], Html("</span>"))
        parts.append(_details(title, facts))
    return joined(*parts)


def _files(files: Sequence[tuple[str, str]]) -> Html:
    if not files:
        return Html()
    items = "".join(
        f'<li><a href="{escaped(address)}">{escaped(address)}</a> '
        f'<span class="quiet">{escaped(what)}</span></li>\n'
        for address, what in files
    )
    return Html(f"<h2>Files</h2>\n<ul>\n{items}</ul>\n")


def _details(title: Html, facts: Any) -> Html:
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    return Html(f"<details><summary>{title}</summary><pre>{escaped(text)}</pre></details>\n")


def _scrolled(content: Html, what: str) -> Html:
    """Let what is wide scroll by itself, also with the keyboard."""
    return Html(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escaped(what)}">\n'
        f"{content}</div>\n"
    )


def _paragraph(text: str) -> Html:
    return Html(f"<p>{escaped(text)}</p>\n") if text else Html()


def _quiet(text: str) -> Html:
    return Html(f'<p class="quiet">{escaped(text)}</p>\n')
