"""``hessinf schema``."""

from __future__ import annotations

import argparse
import json

from hessinf.commands.subcommand import Subcommand
from hessinf.registry.schema import json_schema


@Subcommand.register("schema")
class Schema(Subcommand):
    """Print the JSON Schema of configs, plugins included, for editors that complete them.

    Examples
    --------
    hessinf schema > hessinf.schema.json
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare nothing of its own."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the schema."""
        from hessinf.commands.run_config import RunConfig

        print(json.dumps(json_schema(RunConfig, "hessinf config"), indent=2, ensure_ascii=False))
        return 0
