"""``hessinf validate``."""

from __future__ import annotations

import argparse
import sys

from hessinf.commands.config_arguments import add_config_arguments, load_run_config
from hessinf.commands.json_output import add_json_argument, print_json
from hessinf.commands.subcommand import Subcommand
from hessinf.display.terminal import Style


@Subcommand.register("validate")
class Validate(Subcommand):
    """Check a config without touching data, model or device.

    All problems are shown at once, each with its place, the value found, what was expected and what
    to try.

    With --json: one object with "config", "valid" (true) and "resolved" (the config with every
    default). What is wrong with a config goes to standard error, and there is no document.

    Examples
    --------
    hessinf validate configs/digits/exact.jsonnet
    hessinf validate configs/digits/exact.jsonnet --resolved
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare CONFIG, overrides and --resolved."""
        add_config_arguments(parser)
        parser.add_argument(
            "--resolved", action="store_true", help="print the config with every default, as JSON"
        )
        add_json_argument(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Check, and say that all is well."""
        checked = load_run_config(arguments)
        if arguments.json:
            print_json({"config": arguments.config, "valid": True, "resolved": checked.resolved()})
        elif arguments.resolved:
            print_json(checked.resolved())
        else:
            print(f"{arguments.config}: {Style.of(sys.stdout).good('valid')}")
        return 0
