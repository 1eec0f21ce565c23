"""``hessinf report``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from hessinf.commands.json_output import add_json_argument, print_json
from hessinf.commands.subcommand import Subcommand
from hessinf.display.numbers import bytes_, counted
from hessinf.display.terminal import Style
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from hessinf.commands import report_run
else:
    report_run = lazy_import("hessinf.commands.report_run")


@Subcommand.register("report")
class Report(Subcommand):
    """Write the page of a run again: results to look at in a browser.

    DIR is a directory of interpret, self-influence or compare: finished or not, of this version or
    an earlier one. The page is DIR/report.html (of compare: DIR/comparison.html), one file that
    needs no network. Figures for papers are written beside it, to DIR/plots, as SVG and PNG, where
    matplotlib is installed.

    With --json: one object with "directory", "report" (the page's path), "bytes" (its size) and
    "plots" (paths).

    Examples
    --------
    hessinf report runs/digits
    hessinf report runs/digits --no-plots
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare DIR."""
        parser.add_argument("directory", metavar="DIR", help="the directory of a run (its -s)")
        parser.add_argument("--no-plots", action="store_true", help="write the page only")
        add_json_argument(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Write, and say where."""
        written = report_run.write_report(arguments.directory, with_plots=not arguments.no_plots)
        if written.left_out:
            print(written.left_out, file=sys.stderr)
        if arguments.json:
            print_json(written.to_json())
            return 0
        style = Style.of(sys.stdout)
        size = bytes_(written.page.stat().st_size)
        print(f"open {style.bold(str(written.page))} in a browser ({size})")
        if written.plots:
            print(f"{counted(len(written.plots), 'figure')} in {written.plots[0].parent}")
        return 0
