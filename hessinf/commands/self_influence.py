"""``hessinf self-influence``."""

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
    from hessinf.commands import self_influence_run, self_influence_table
else:
    self_influence_run = lazy_import("hessinf.commands.self_influence_run")
    self_influence_table = lazy_import("hessinf.commands.self_influence_table")


@Subcommand.register("self-influence")
class SelfInfluence(Subcommand):
    """Rank the training examples by their influence on themselves.

    Examples that only they themselves explain come first: mislabelled and odd ones are among them.
    Writes DIR/self_influence.jsonl, a line for each training example, the largest first.

    With --json: one object with "command", "directory", "finished_before", "files" (paths by name),
    "first" (the first ten lines of self_influence.jsonl) and "metrics" (what metrics.json says).

    Examples
    --------
    hessinf self-influence configs/digits/exact.jsonnet -s runs/odd
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare CONFIG, overrides, DIR."""
        add_config_arguments(parser)
        add_run_arguments(parser)
        add_json_argument(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Run, and print the first of the ranking."""
        checked = load_run_config(arguments)
        with checked.naming_source():
            finished = self_influence_run.self_influence(
                checked, arguments.directory, force=arguments.force, resume=arguments.resume
            )
        if arguments.json:
            print_json(self_influence_table.document(finished))
        else:
            style = Style.of(sys.stdout)
            print(self_influence_table.ranking(finished, style=style, width=columns()))
        return 0
