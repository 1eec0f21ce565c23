"""``hessinf list``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from hessinf.commands.catalogues import all_catalogues, find_base
from hessinf.commands.json_output import add_json_argument, print_json
from hessinf.commands.subcommand import Subcommand
from hessinf.display.terminal import PLAIN, Style, columns, is_terminal, wrapped
from hessinf.display.text_table import cells, padded
from hessinf.registry import Registrable, docstring


@Subcommand.register("list")
class ListNames(Subcommand):
    """List the registered names, of one catalogue or of all.

    Plugins are included: those installed, those listed in .hessinf_plugins, and those given with
    --include-package.

    With --json: one object with a list of names for each catalogue.

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
        add_json_argument(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print names with the first line of what they are."""
        if arguments.base is None:
            bases = all_catalogues()
        else:
            base = find_base(arguments.base)
            bases = {base.__name__: base}
        if arguments.json:
            print_json({title: base.list_available() for title, base in bases.items()})
        else:
            width = columns() if is_terminal(sys.stdout) else None
            print(listing(bases, style=Style.of(sys.stdout), width=width))
        return 0


def listing(
    bases: Mapping[str, type[Registrable]], *, style: Style = PLAIN, width: int | None = None
) -> str:
    """Return the names of catalogues, each with the first line of what it is.

    Parameters
    ----------
    bases
        The base classes, by title.
    style, width
        Of the stream; None for a line a name, however long, as programs like it.
    """
    longest = max(cells(name) for base in bases.values() for name in base.list_available())
    blocks = []
    for title, base in bases.items():
        lines = [style.bold(title)]
        for name in base.list_available():
            mark = " (default)" if name == base.default_implementation else ""
            text = docstring.summary(base.catalogue.entries[name].target.__doc__)
            first, text = f"  {padded(name, longest)}  ", f"{text}{mark}"
            indent = " " * cells(first)
            lines += [first + text] if width is None else wrapped(text, width, first, indent)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
