"""``hessinf validate``."""

from __future__ import annotations

import argparse
import json

from hessinf.commands.config_arguments import add_config_arguments, load_run_config
from hessinf.commands.subcommand import Subcommand


@Subcommand.register("validate")
class Validate(Subcommand):
    """Check a config without touching data, model or device.

    All problems are shown at once, each with its place, the value found, what was expected and what
    to try.

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

    def run(self, arguments: argparse.Namespace) -> int:
        """Check, and say that all is well."""
        checked = load_run_config(arguments)
        if arguments.resolved:
            print(json.dumps(checked.resolved(), indent=2, ensure_ascii=False))
        else:
            print(f"{arguments.config}: valid")
        return 0
