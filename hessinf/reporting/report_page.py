"""The page of a run: predictions, the training examples behind them, and how far to believe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hessinf.display.html_text import Html, escaped
from hessinf.display.numbers import counted
from hessinf.reporting import page_style
from hessinf.reporting.page_data import PageData, page_data
from hessinf.reporting.page_head import page_head
from hessinf.reporting.page_segments import segment_element
from hessinf.reporting.report_plots import ranking_plot, score_plot, spectrum_plot
from hessinf.reporting.reported_run import ReportedRun
from hessinf.reporting.shown_facts import shown_facts
from hessinf.reporting.static_queries import FirstQueries
from hessinf.reporting.trust_statements import Statement, trust_statements

MOST_BYTES = 20_000_000
"""What a page may have: enough for most mails."""

FOR_THE_REST = 800_000
"""Of these, for everything but the segments."""

MARKS = {"good": "Good", "note": "Note", "warning": "Warning"}

NO_SCRIPT = (
    "This page needs JavaScript, and a browser of 2023 or later, to show all queries. It loads "
    "nothing from a network. The first queries are shown below."
)


def report_page(run: ReportedRun) -> str:
    """Return a whole HTML document that needs no network.

    The same run gives the same text: neither time nor place is in it.

    Parameters
    ----------
    run
        From :func:`hessinf.reporting.reported_run.read_reported_run`, or made of dicts. Nothing in
        it is trusted.
    """
    first = FirstQueries()
    data = page_data(run, room=MOST_BYTES - FOR_THE_REST, watch=first.see)
    script = page_style.report_script()
    title = escaped(run.title)
    return "\n".join(
        [
            page_head(run.title, page_style.report_style_sheet(), [script]),
            "<body>",
            f'<header id="masthead"><h1>{title}</h1>',
            f'<p class="subtitle">{_subtitle(run, data)}</p></header>',
            '<main id="app">',
            *_about(run, data),
            f"<noscript><p>{NO_SCRIPT}</p>",
            first.html(data.index["labels"], data.image_range),
            "</noscript>",
            "</main>",
            *(segment_element(name, packed) for name, packed in data.segments.items()),
            f"<script>{script}</script></body></html>",
            "",
        ]
    )


def _subtitle(run: ReportedRun, data: PageData) -> Html:
    queries = data.index["run"]["queries"]
    train = run.metrics.get("training_examples")
    parts = [
        counted(queries, "query", "queries") if queries else "",
        "" if train is None else counted(train, "training example"),
        run.interpreter,
    ]
    return escaped(" · ".join(part for part in parts if part))


def _about(run: ReportedRun, data: PageData) -> list[str]:
    """Say what everybody should know before they believe anything."""
    queries = data.index["run"]["queries"]
    images = (data.index["images"] or {}).get("note")
    losses = [one.loss for one in data.ranking]
    trust = trust_statements(run.metrics, data.diagnostics, spectrum=run.spectrum)
    return [
        '<section id="about"><h2>About this run</h2>',
        *_unfinished(run, queries),
        "<h3>How far to believe it</h3>",
        _statements(trust),
        *_warnings(run.warnings),
        "<h3>Facts</h3>",
        _facts(shown_facts(run, queries=queries, right=data.right, losses=losses, images=images)),
        *_plots(run, data),
        "</section>",
    ]


def _unfinished(run: ReportedRun, queries: int) -> list[str]:
    if run.complete or not run.provenance:
        return []
    text = f"This run is not finished: {counted(queries, 'query', 'queries')} so far."
    return [_statements([("warning", text)])]


def _statements(statements: Sequence[Statement]) -> str:
    items = (
        f'<li class="{level}"><span class="mark">{MARKS[level]}: </span>{escaped(text)}</li>'
        for level, text in statements
    )
    return f'<ul class="trust">{"".join(items)}</ul>'


def _warnings(warnings: Sequence[str]) -> list[str]:
    if not warnings:
        return []
    title = f"{counted(len(warnings), 'warning')} in the log of the run"
    return [f"<h3>{title}</h3>", _statements([("warning", text) for text in warnings])]


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    items = (
        f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>" for name, value in facts
    )
    return f'<dl class="facts">{"".join(items)}</dl>'


def _plots(run: ReportedRun, data: PageData) -> list[str]:
    plots = [
        ("How all scores are spread, over all queries.", score_plot(data.scores)),
        _ranking(run, data),
        ("Eigenvalues of the curvature, the largest first.", _spectrum(run.spectrum)),
    ]
    shown = [
        f"<figure><figcaption>{escaped(caption)}</figcaption>{plot}</figure>"
        for caption, plot in plots
        if plot is not None
    ]
    return ["<h3>Plots</h3>", '<div class="plots">', *shown, "</div>"] if shown else []


def _spectrum(spectrum: Mapping[str, Any] | None) -> str | None:
    return None if spectrum is None else spectrum_plot(spectrum)


def _ranking(run: ReportedRun, data: PageData) -> tuple[str, str | None]:
    by = data.index["suspects_ranked_by"]
    if by is None:
        return "", None
    caption = (
        "Training examples by their influence on themselves: mislabelled and odd ones come first."
        if by == "self-influence"
        else "Training examples by their loss: mislabelled and odd ones come first."
    )
    changed = set(run.metrics.get("flipped_labels") or ())
    marked = [rank for rank, one in enumerate(data.ranking) if one.training_index in changed]
    if marked:
        caption += " Dots: labels that were changed on purpose."
    values = [one.value for one in data.ranking]
    return caption, ranking_plot(values, by=by, flipped=marked)
