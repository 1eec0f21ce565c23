"""``hessinf compare``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from hessinf.commands.config_arguments import (
    add_config_arguments,
    add_run_arguments,
    load_run_configs,
)
from hessinf.commands.json_output import add_json_argument, print_json
from hessinf.commands.subcommand import Subcommand
from hessinf.display.terminal import Style, columns
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from hessinf.commands import compare_run, comparison_table, joined_configs
else:
    compare_run = lazy_import("hessinf.commands.compare_run")
    comparison_table = lazy_import("hessinf.commands.comparison_table")
    joined_configs = lazy_import("hessinf.commands.joined_configs")


@Subcommand.register("compare")
class Compare(Subcommand):
    """Compare several interpreters on one model: agreement, quality, time, memory.

    The configs differ in their "interpreter" (and "evaluation.methods") alone: the model is trained
    once, and each interpreter fits and scores in a process of its own, so that its peak memory is
    its own. Where a config has an "evaluation", its metrics judge every row, with paired intervals
    of differences. Options such as --set hold for every config.

    Results lie in DIR/comparison.json (no times in it), DIR/metrics.json (what each row took) and
    DIR/comparison.html, a page for eyes. A run that was stopped goes on with -r.

    With --json: what DIR/comparison.json says ("format", "queries", "training_examples",
    "measurement", "seed", "rows", "warnings", "agreement", "evaluation"), and "costs" (what each
    row took).

    Examples
    --------
    hessinf compare configs/digits/kfac.jsonnet configs/digits/ekfac.jsonnet -s runs/compared
    hessinf compare configs/digits/*.jsonnet configs/evaluation/lds.jsonnet -s runs/judged
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the CONFIGs, overrides, DIR."""
        add_config_arguments(parser, several=True)
        add_run_arguments(parser)
        add_json_argument(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Run, and print aligned tables."""
        joined = joined_configs.join_configs(load_run_configs(arguments))
        with joined.checked.naming_source():
            finished = compare_run.compare(
                joined, arguments.directory, force=arguments.force, resume=arguments.resume
            )
        if arguments.json:
            print_json({**finished.comparison, "costs": finished.costs})
        else:
            style = Style.of(sys.stdout)
            print(comparison_table.tables(finished, style=style, width=columns()))
        return 0
