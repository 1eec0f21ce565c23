"""``hessinf describe``."""

from __future__ import annotations

import argparse
import dataclasses
import sys

from hessinf.commands.catalogues import all_catalogues, find_base
from hessinf.commands.json_output import add_json_argument, print_json
from hessinf.commands.subcommand import Subcommand
from hessinf.display.terminal import PLAIN, WIDTH, Style, columns, wrapped
from hessinf.registry import ConfigError, Registrable
from hessinf.registry.describe import Description, describe
from hessinf.registry.json_text import with_article
from hessinf.registry.suggestions import did_you_mean


@Subcommand.register("describe")
class Describe(Subcommand):
    """Describe a registered name: what it does, its arguments and defaults, what it costs.

    With --json: a list of objects, one for each catalogue that has the name, with "name", "base",
    "qualified_name", "location", "summary", "explanation", "sections", "arguments" (of "name",
    "type", "required", "default", "text"), "injected" and "is_default".

    Examples
    --------
    hessinf describe simple-influence
    hessinf describe sgd --base Optimizer
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare NAME, --base and --json."""
        parser.add_argument("name", metavar="NAME", help="a registered name")
        parser.add_argument("--base", metavar="BASE", help="look in this catalogue only")
        add_json_argument(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print what there is to know."""
        descriptions = find_descriptions(arguments.name, arguments.base)
        if arguments.json:
            print_json([dataclasses.asdict(item) for item in descriptions])
        else:
            style, width = Style.of(sys.stdout), columns()
            print("\n\n".join(text(item, style=style, width=width) for item in descriptions))
        return 0


def find_descriptions(name: str, base: str | None = None) -> list[Description]:
    """Describe a name, in every catalogue that has it.

    Raises
    ------
    ConfigError
        When none has it.
    """
    bases: list[type[Registrable]]
    bases = list(all_catalogues().values()) if base is None else [find_base(base)]
    found = [item for item in bases if item.is_registered(name)]
    if not found:
        raise _unknown(name, bases)
    return [describe(item.catalogue, item.catalogue.find(name)) for item in found]


def _unknown(name: str, bases: list[type[Registrable]]) -> ConfigError:
    """Say what may have been meant instead of a name that is not registered."""
    everywhere = all_catalogues()
    if name in everywhere:
        return ConfigError(f'"{name}" is a catalogue; hessinf list {name} shows its names')
    names = sorted({key for item in bases for key in item.catalogue.entries})
    message = f'nothing is registered as "{name}"'
    if len(bases) == 1:
        message += f" in the catalogue {bases[0].__name__}"
    elsewhere = [base for base, item in everywhere.items() if item.is_registered(name)]
    if elsewhere:
        return ConfigError(f"{message}; it is in: {', '.join(elsewhere)}")
    hint = did_you_mean(name, names) or "; hessinf list shows all names"
    return ConfigError(f"{message}{hint}")


def text(description: Description, *, style: Style = PLAIN, width: int = WIDTH) -> str:
    """Return a description as text.

    Parameters
    ----------
    description
        Of a registered name.
    style, width
        Of the stream.
    """
    lines = [
        style.bold(
            f'"{description.name}" is {with_article(description.base)}'
            + (", the default one" if description.is_default else "")
        ),
        f"  class       {description.qualified_name}",
        f"  registered  {description.location}",
        "",
        *_paragraph(description.summary, width, "  "),
    ]
    for paragraph in description.explanation:
        lines += ["", *_paragraph(paragraph.replace("``", ""), width, "  ")]
    lines += ["", style.bold("  arguments:") if description.arguments else "  no arguments"]
    for argument in description.arguments:
        kind = f": {argument.type}, {argument.default_text()}"
        first, *others = wrapped(f"{argument.name}{kind}", width, "    ", "        ")
        name = style.bold(argument.name)
        lines += [first.replace(argument.name, name, 1), *others]
        lines += _paragraph(argument.text, width, "        ")
    if description.injected:
        passed = f"passed by the program: {', '.join(description.injected)}"
        lines += ["", *_paragraph(passed, width, "  ")]
    for title in ("Cost", "Notes", "References"):
        if title in description.sections:
            lines += ["", style.bold(f"  {title.lower()}:")]
            for paragraph in description.sections[title].split("\n\n"):
                lines += _paragraph(paragraph, width, "    ")
    return "\n".join(lines)


def _paragraph(paragraph: str, width: int, indent: str) -> list[str]:
    return wrapped(paragraph, width, indent, indent)
