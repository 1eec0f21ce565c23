"""``hessinf evaluate``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from hessinf.commands.config_arguments import (
    add_config_arguments,
    add_run_arguments,
    load_run_config,
)
from hessinf.commands.json_output import add_json_argument
from hessinf.commands.subcommand import Subcommand
from hessinf.display.terminal import Style, columns
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from hessinf.commands import evaluate_run, evaluation_table, score_arguments
else:
    evaluate_run = lazy_import("hessinf.commands.evaluate_run")
    evaluation_table = lazy_import("hessinf.commands.evaluation_table")
    score_arguments = lazy_import("hessinf.commands.score_arguments")


@Subcommand.register("evaluate")
class Evaluate(Subcommand):
    """Say how good scores are: against retrained models, planted labels, other checks.

    Judges the config's interpreter, the methods under "evaluation.methods", and scores of other
    libraries (--scores), beside random scores and plain gradient products. Metrics are named under
    "evaluation.metrics"; the linear datamodeling score ("lds") where there are none. `hessinf list
    Metric` shows all of them.

    Positive scores are helpful, and rows of a matrix are queries: a file of another orientation is
    named with :transposed or :negated behind it, or with both. It is not turned unasked, and what
    looks wrong (another order of examples, another model, another sign) is said above the tables.

    Results lie in DIR/evaluation.json, the same bytes for the same config; what retraining has
    shown is kept in DIR/ground_truth, scores in DIR/attributions. A run that was stopped goes on
    with -r.

    With --json: what DIR/evaluation.json says ("problem", "metrics", "warnings" and more).

    Examples
    --------
    hessinf evaluate configs/evaluation/quick.jsonnet -s runs/quick
    hessinf evaluate configs/evaluation/quick.jsonnet -s runs/quick -r --json
    hessinf evaluate configs/evaluation/quick.jsonnet -s runs/theirs --scores theirs=scores.npy
    hessinf evaluate a.jsonnet -s runs/koh --scores koh-liang=scores.npy:transposed:negated
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare CONFIG, overrides, DIR, scores."""
        add_config_arguments(parser)
        add_run_arguments(parser)
        parser.add_argument(
            "--scores",
            action="append",
            default=[],
            metavar="[NAME=]FILE",
            help="judge scores of other origin too: a .npy file [queries, training examples], or "
            'the directory of a run with "scores": "zarr"; :transposed and :negated behind it '
            "say how they lie there; without NAME the row is called as the file (repeatable)",
        )
        add_json_argument(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Run, and print a table for each metric."""
        checked = score_arguments.with_scores(load_run_config(arguments), arguments.scores)
        with checked.naming_source():
            finished = evaluate_run.evaluate(
                checked, arguments.directory, force=arguments.force, resume=arguments.resume
            )
        if arguments.json:
            print(finished.results.read_text(encoding="utf-8"), end="")
        else:
            style = Style.of(sys.stdout)
            print(evaluation_table.tables(finished, style=style, width=columns()))
        return 0
