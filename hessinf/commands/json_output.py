"""``--json``: what a command has to say as one JSON document on standard output."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from hessinf.commands.finished_run import FinishedRun
from hessinf.commands.result_files import result_files


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Declare --json."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON document instead, with the keys that are said above",
    )


def print_json(value: Any) -> None:
    """Print one JSON document.

    Parameters
    ----------
    value
        JSON; what is not finite is a text already (:mod:`hessinf.runtime.finite_json`).
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # halves of characters, or a stream of few characters
        text = json.dumps(value, indent=2, allow_nan=False)
    print(text)


def run_document(run: FinishedRun, **more: Any) -> dict[str, Any]:
    """Describe a finished run: what there is of every command, and more that is its own.

    Parameters
    ----------
    run
        What the command's Python function returned.
    **more
        Further keys.
    """
    metrics = run.metrics
    return {
        "command": metrics["command"],
        "directory": str(run.directory),
        "finished_before": run.was_complete,
        "files": {name: str(path) for name, path in result_files(run.directory).items()},
        **more,
        "metrics": metrics,
    }
