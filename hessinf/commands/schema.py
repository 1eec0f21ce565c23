"""``hessinf schema``."""

from __future__ import annotations

import argparse

from hessinf.commands.json_output import add_json_argument, print_json
from hessinf.commands.subcommand import Subcommand
from hessinf.registry.schema import json_schema


@Subcommand.register("schema")
class Schema(Subcommand):
    """Print the JSON Schema of configs, plugins included, for editors that complete them.

    It is JSON as it is; --json changes nothing.

    Examples
    --------
    hessinf schema > hessinf.schema.json
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare --json."""
        add_json_argument(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the schema."""
        from hessinf.commands.run_config import RunConfig

        print_json(json_schema(RunConfig, "hessinf config"))
        return 0
