"""What a finished ``hessinf interpret`` shows on standard output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hessinf.commands.interpret_run import FinishedInterpretations
from hessinf.commands.json_output import run_document
from hessinf.commands.result_files import next_steps
from hessinf.commands.stage_table import stage_table
from hessinf.display.example_text import (
    class_names,
    excerpt,
    label_text,
    prediction_text,
    target_text,
)
from hessinf.display.numbers import counted, number, signed
from hessinf.display.terminal import PLAIN, WIDTH, Style, visible, wrapped
from hessinf.display.text_table import aligned, shortened
from hessinf.reporting.trust_statements import Statement, trust_statements
from hessinf.runtime.json_lines import read_lines
from hessinf.runtime.run_files import SPECTRUM

SHOWN = 3
"""Helpful and harmful examples of the first query."""

LONGEST_LABEL = 24
"""Cells of a label."""

LONGEST_TEXT = 60
"""Cells of a text's beginning."""


def summarize(run: FinishedInterpretations, *, style: Style = PLAIN, width: int = WIDTH) -> str:
    """Describe a finished run: time, one query, how far to believe it, what to open next.

    Parameters
    ----------
    run
        What :func:`hessinf.commands.interpret_run.interpret` returned.
    style, width
        Of the stream.

    Returns
    -------
    str
        Several lines.
    """
    metrics = run.metrics
    first = _first(run)
    blocks = [
        [
            style.bold(
                f"{counted(metrics['queries'], 'query', 'queries')} against "
                f"{counted(metrics['training_examples'], 'training example')} with "
                f'"{metrics["interpreter"]}": {run.ending}'
            )
        ],
        stage_table(metrics, style),
        [] if first is None else _query(first, metrics, style, width),
        _trust(_statements(run, metrics, first), style, width),
        next_steps(run.directory, style, width),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def document(run: FinishedInterpretations) -> dict[str, Any]:
    """Return the same for programs, as JSON."""
    first = _first(run)
    statements = _statements(run, run.metrics, first)
    return run_document(
        run,
        trust=[{"level": level, "text": text} for level, text in statements],
        first_query=first,
    )


def _first(run: FinishedInterpretations) -> dict[str, Any] | None:
    return next(read_lines(run.interpretations), None)


def _statements(
    run: FinishedInterpretations, metrics: Mapping[str, Any], first: Mapping[str, Any] | None
) -> list[Statement]:
    spectrum = run.json_of(SPECTRUM) if run.has(SPECTRUM) else None
    statements = trust_statements(
        metrics, None if first is None else first["diagnostics"], spectrum=spectrum
    )
    return [*statements, *(("warning", text) for text in metrics.get("warnings", []))]


def _trust(statements: list[Statement], style: Style, width: int) -> list[str]:
    """Say how far to believe the results."""
    color = {"good": style.good, "note": style.quiet, "warning": style.warning}
    lines = []
    for level, text in statements:
        first, *others = wrapped(visible(text), width, " " * 11, " " * 11)
        lines += [f"  {color[level](level)}{first[2 + len(level) :]}", *others]
    return [style.bold("how far to believe it"), *lines] if lines else []


def _query(
    line: Mapping[str, Any], metrics: Mapping[str, Any], style: Style, width: int
) -> list[str]:
    query = line["query"]
    names = _class_names(line, metrics)
    title = (
        f"query {visible(query['id'])}: {target_text(query['display'], query['target'])}, "
        f"predicted {prediction_text(query, names)}, loss {number(query['loss'])}"
    )
    text = excerpt(query["display"])
    lines = [style.bold(title), *(["  " + shortened(text, width - 2)] if text else [])]
    header = ["most helpful", "label", "text", "score", "loss change\nif removed", "refined"]
    helpful = [_influence(one, style.good) for one in line["helpful"][:SHOWN]]
    harmful = [_influence(one, style.bad) for one in line["harmful"][:SHOWN]]
    rows = [*helpful, ["most harmful", *[""] * 5], *harmful]
    table = aligned(header, rows, left=(0, 1, 2), width=width, style=style)
    second = len(table) - len(harmful) - 1
    table[second] = "  " + style.bold(table[second].strip())
    return lines + table


def _influence(one: Mapping[str, Any], color: Any) -> list[str]:
    return [
        f"  {visible(one['id'])}",
        shortened(label_text(one["display"], one["target"]), LONGEST_LABEL),
        shortened(excerpt(one["display"]), LONGEST_TEXT),
        color(signed(one["score"])),
        signed(one["loss_change_if_removed"]),
        signed(one.get("loss_change_refined")),
    ]


def _class_names(line: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[int, str]:
    """Name the classes; runs of before tell names by examples of them only."""
    if metrics.get("label_names"):
        return dict(enumerate(metrics["label_names"]))
    return class_names([*line["helpful"], *line["harmful"], line["query"]])
