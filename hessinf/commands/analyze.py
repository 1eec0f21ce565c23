"""``hessinf analyze``."""

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
from hessinf.runtime.run_files import ANALYSIS

if TYPE_CHECKING:
    from hessinf.commands import analysis_summary, analyze_run
else:
    analysis_summary = lazy_import("hessinf.commands.analysis_summary")
    analyze_run = lazy_import("hessinf.commands.analyze_run")


@Subcommand.register("analyze")
class Analyze(Subcommand):
    """Compare curvatures: the Hessian with what stands for it.

    Trains the model that the config describes (or loads one), forms the Hessian and its
    approximations (by default the Gauss-Newton matrix, its blocks by layer, EK-FAC and K-FAC), and
    says how near each comes: residuals of the matrix and of its damped inverse, overlap of
    eigenvalues and of leading eigenvectors, energy between blocks, condition, negative eigenvalues,
    errors of inversions; of the whole and of each block. Beyond "analysis.memory_limit" it
    estimates from products with random vectors, with standard errors. What is compared, and how,
    stands in the config under "analysis".

    Writes DIR/analysis.json, and plots where matplotlib is installed. A run that was stopped goes
    on with -r after the last finished curvature.

    With --json: what DIR/analysis.json says.

    Examples
    --------
    hessinf analyze configs/analysis/digits.jsonnet -s runs/curvature
    hessinf analyze configs/analysis/small.jsonnet -s runs/blocks --set analysis.blocks=parameter
    hessinf analyze configs/analysis/small.jsonnet -s runs/estimates --set analysis.mode=matrix-free
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare CONFIG, overrides, DIR."""
        add_config_arguments(parser)
        add_run_arguments(parser)
        add_json_argument(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Run, and print the table."""
        checked = load_run_config(arguments)
        with checked.naming_source():
            finished = analyze_run.analyze(
                checked, arguments.directory, force=arguments.force, resume=arguments.resume
            )
        if arguments.json:
            print_json(finished.json_of(ANALYSIS))
        else:
            style = Style.of(sys.stdout)
            print(analysis_summary.summarize_analysis(finished, style=style, width=columns()))
        return 0
