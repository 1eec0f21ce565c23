"""``hessinf interpret``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from hessinf.commands.config_arguments import (
    add_config_arguments,
    add_run_arguments,
    load_run_config,
)
from hessinf.commands.json_output import add_json_argument, print_json
from hessinf.commands.subcommand import Subcommand
from hessinf.display.terminal import Style, columns
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from hessinf.commands import interpret_run, summary
else:
    interpret_run = lazy_import("hessinf.commands.interpret_run")
    summary = lazy_import("hessinf.commands.summary")


@Subcommand.register("interpret")
class Interpret(Subcommand):
    """Find the training examples that helped and harmed each query.

    Trains the model that the config describes (or loads one), fits the interpreter, and writes for
    every query its most helpful and most harmful training examples to DIR/interpretations.jsonl,
    all training examples, the most suspect first, to DIR/self_influence.jsonl, and a page to look
    at both in a browser to DIR/report.html.

    A run that was stopped, by whatever means, goes on with -r where it was.

    With --json: one object with "command", "directory", "finished_before", "files" (paths by name),
    "trust" (a list of "level" and "text"), "first_query" (the first line of interpretations.jsonl,
    or null) and "metrics" (what metrics.json says).

    Examples
    --------
    hessinf interpret configs/digits/exact.jsonnet -s runs/exact
    hessinf interpret configs/digits/exact.jsonnet -s runs/small --set interpreter.damping=0.1
    hessinf interpret configs/digits/exact.jsonnet -s runs/exact -r
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare CONFIG, overrides, DIR."""
        add_config_arguments(parser)
        add_run_arguments(parser)
        add_json_argument(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Run, and print a summary."""
        checked = load_run_config(arguments)
        with checked.naming_source():
            finished = interpret_run.interpret(
                checked, arguments.directory, force=arguments.force, resume=arguments.resume
            )
        if arguments.json:
            print_json(summary.document(finished))
        else:
            print(summary.summarize(finished, style=Style.of(sys.stdout), width=columns()))
        return 0
