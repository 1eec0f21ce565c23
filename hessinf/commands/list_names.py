"""``hessinf list``."""

from __future__ import annotations

import argparse
import json

from hessinf.commands.catalogues import all_catalogues, find_base
from hessinf.commands.subcommand import Subcommand
from hessinf.registry import docstring


@Subcommand.register("list")
class ListNames(Subcommand):
    """List the registered names, of one catalogue or of all.

    Plugins are included: those installed, those listed in .hessinf_plugins, and those given with
    --include-package.

    Examples
    --------
    hessinf list
    hessinf list InfluenceInterpreter
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare BASE and --json."""
        parser.add_argument(
            "base", metavar="BASE", nargs="?", help="a catalogue, such as InfluenceInterpreter"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, arguments: argparse.Namespace) -> int:
        """Print names with the first line of what they are."""
        if arguments.base is None:
            bases = all_catalogues()
        else:
            base = find_base(arguments.base)
            bases = {base.__name__: base}
        if arguments.json:
            listed = {title: base.list_available() for title, base in bases.items()}
            print(json.dumps(listed, indent=2))
            return 0
        names = [name for base in bases.values() for name in base.list_available()]
        width = max(len(name) for name in names)
        blocks = []
        for title, base in bases.items():
            lines = [title]
            for name in base.list_available():
                entry = base.catalogue.entries[name]
                mark = " (default)" if name == base.default_implementation else ""
                text = docstring.summary(entry.target.__doc__)
                lines.append(f"  {name:<{width}}  {text}{mark}")
            blocks.append("\n".join(lines))
        print("\n\n".join(blocks))
        return 0
