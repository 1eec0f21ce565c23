"""What a finished ``hessinf self-influence`` shows on standard output: the first of the ranking."""

from __future__ import annotations

from itertools import islice
from typing import Any

from hessinf.commands.finished_run import FinishedRun
from hessinf.commands.json_output import run_document
from hessinf.commands.result_files import next_steps
from hessinf.commands.stage_table import stage_table
from hessinf.commands.summary import LONGEST_LABEL, LONGEST_TEXT
from hessinf.display.example_text import excerpt, label_text
from hessinf.display.numbers import counted, number
from hessinf.display.terminal import PLAIN, WIDTH, Style, visible
from hessinf.display.text_table import aligned, shortened
from hessinf.runtime.json_lines import read_lines
from hessinf.runtime.run_files import SELF_INFLUENCE

SHOWN = 10


def ranking(run: FinishedRun, *, style: Style = PLAIN, width: int = WIDTH) -> str:
    """Describe a finished ranking.

    Parameters
    ----------
    run
        What :func:`hessinf.commands.self_influence_run.self_influence` returned.
    style, width
        Of the stream.
    """
    metrics = run.metrics
    examples = counted(metrics["training_examples"], "training example")
    blocks = [
        [style.bold(f"{examples} ranked by self-influence: {run.ending}")],
        stage_table(metrics, style),
        aligned(
            ["most suspect", "label", "text", "self-influence", "loss"],
            [_row(line) for line in _first(run)],
            left=(0, 1, 2),
            width=width,
            style=style,
            indent="",
        ),
        next_steps(run.directory, style, width),
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def document(run: FinishedRun) -> dict[str, Any]:
    """Return the same for programs, as JSON."""
    return run_document(run, first=_first(run))


def _first(run: FinishedRun) -> list[dict[str, Any]]:
    return list(islice(read_lines(run.directory / SELF_INFLUENCE), SHOWN))


def _row(line: dict[str, Any]) -> list[str]:
    return [
        visible(line["id"]),
        shortened(label_text(line["display"], line["target"]), LONGEST_LABEL),
        shortened(excerpt(line["display"]), LONGEST_TEXT),
        number(line["self_influence"]),
        number(line["loss"]),
    ]
