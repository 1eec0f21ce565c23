"""``hessinf describe``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import textwrap

from hessinf.commands.catalogues import all_catalogues, find_base
from hessinf.commands.subcommand import Subcommand
from hessinf.registry import ConfigError, Registrable
from hessinf.registry.describe import Description, describe
from hessinf.registry.json_text import with_article
from hessinf.registry.suggestions import did_you_mean


@Subcommand.register("describe")
class Describe(Subcommand):
    """Describe a registered name: what it does, its arguments and defaults, what it costs.

    Examples
    --------
    hessinf describe simple-influence
    hessinf describe sgd --base Optimizer
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare NAME, --base and --json."""
        parser.add_argument("name", metavar="NAME", help="a registered name")
        parser.add_argument("--base", metavar="BASE", help="look in this catalogue only")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, arguments: argparse.Namespace) -> int:
        """Print what there is to know."""
        descriptions = find_descriptions(arguments.name, arguments.base)
        if arguments.json:
            print(json.dumps([dataclasses.asdict(item) for item in descriptions], indent=2))
        else:
            print("\n\n".join(text(item) for item in descriptions))
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


def text(description: Description) -> str:
    """Return a description as text of at most 100 columns."""
    lines = [
        f'"{description.name}" is {with_article(description.base)}'
        + (", the default one" if description.is_default else ""),
        f"  class       {description.qualified_name}",
        f"  registered  {description.location}",
        "",
        *_wrapped(description.summary, "  "),
    ]
    for paragraph in description.explanation:
        lines += ["", *_wrapped(paragraph.replace("``", ""), "  ")]
    lines += ["", "  arguments:" if description.arguments else "  no arguments"]
    for argument in description.arguments:
        lines.append(f"    {argument.name}: {argument.type}, {argument.default_text()}")
        lines += _wrapped(argument.text, "        ")
    if description.injected:
        lines += ["", *_wrapped(f"passed by the program: {', '.join(description.injected)}", "  ")]
    for title in ("Cost", "Notes", "References"):
        if title in description.sections:
            lines += ["", f"  {title.lower()}:"]
            for paragraph in description.sections[title].split("\n\n"):
                lines += _wrapped(paragraph, "    ")
    return "\n".join(lines)


def _wrapped(paragraph: str, indent: str) -> list[str]:
    return textwrap.wrap(
        " ".join(paragraph.split()), width=100, initial_indent=indent, subsequent_indent=indent
    )
