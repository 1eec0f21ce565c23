"""``hessinf train``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from hessinf.commands.config_arguments import (
    add_config_arguments,
    add_run_arguments,
    load_run_config,
)
from hessinf.commands.json_output import add_json_argument, print_json, run_document
from hessinf.commands.subcommand import Subcommand
from hessinf.display.terminal import Style
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from hessinf.commands import train_run, training_summary
else:
    train_run = lazy_import("hessinf.commands.train_run")
    training_summary = lazy_import("hessinf.commands.training_summary")


@Subcommand.register("train")
class Train(Subcommand):
    """Train the model of a config, and keep it as an archive.

    The archive, DIR/model, holds the weights (safetensors) and the record of training: weight decay
    and how near the minimum training came, which influence functions rest on. Other configs use it
    with "model": {"type": "archive", "path": "DIR/model"}.

    With --json: one object with "command", "directory", "finished_before", "files" (paths by name,
    "model" among them) and "metrics" (what metrics.json says; the record is its "training").

    Examples
    --------
    hessinf train configs/digits/exact.jsonnet -s runs/digits
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare CONFIG, overrides, DIR."""
        add_config_arguments(parser)
        add_run_arguments(parser)
        add_json_argument(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Train, and print how near the minimum it came."""
        checked = load_run_config(arguments)
        with checked.naming_source():
            finished = train_run.train(
                checked, arguments.directory, force=arguments.force, resume=arguments.resume
            )
        if arguments.json:
            print_json(run_document(finished))
        else:
            training = finished.metrics.get("training") or {}
            archive = finished.directory / "model"
            print(training_summary.training_summary(training, archive, Style.of(sys.stdout)))
        return 0
