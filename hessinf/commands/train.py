"""``hessinf train``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hessinf.commands.config_arguments import (
    add_config_arguments,
    add_run_arguments,
    load_run_config,
)
from hessinf.commands.subcommand import Subcommand
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from hessinf.commands import train_run
else:
    train_run = lazy_import("hessinf.commands.train_run")


@Subcommand.register("train")
class Train(Subcommand):
    """Train the model of a config, and keep it as an archive.

    The archive, DIR/model, holds the weights (safetensors) and the record of training: weight decay
    and how near the minimum training came, which influence functions rest on. Other configs use it
    with "model": {"type": "archive", "path": "DIR/model"}.

    Examples
    --------
    hessinf train configs/digits/exact.jsonnet -s runs/digits
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare CONFIG, overrides, DIR."""
        add_config_arguments(parser)
        add_run_arguments(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Train, and print how near the minimum it came."""
        checked = load_run_config(arguments)
        with checked.naming_source():
            text = train_run.train(
                checked, arguments.directory, force=arguments.force, resume=arguments.resume
            )
        print(text)
        return 0
