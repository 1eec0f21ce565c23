"""Makes the reference of commands from their own ``--help``, while the site is built."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterator
from typing import Any

from markdown_text import verbatim
from mkdocs.structure.files import File, Files

from hessinf.commands.main import build_parser
from hessinf.commands.subcommand import Subcommand

PAGE = "reference/commands.md"


def on_files(files: Files, *, config: Any) -> Files:
    """Add the page."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """Return the page: what all commands take, then every command."""
    parser = build_parser()
    own = {
        name: command
        for name, command in parser.commands.items()
        if Subcommand.by_name(name).__module__.startswith("hessinf.")
    }
    common = {option for action in parser._actions for option in action.option_strings}
    parts = [
        "# Commands",
        "This page is made from the commands' own `--help`. What they share (exit statuses, "
        "`--json`, how values of a config are changed) is said in "
        "[Command line](../command_line.md).",
        "## For every command { #common }",
        *(term for action in parser._actions for term in _option(action, "common")),
    ]
    for name, command in own.items():
        description, examples = _split(inspect.cleandoc(command.description or ""))
        parts += [f"## `hessinf {name}` {{ #{name} }}", description]
        if examples:
            parts.append(f"```sh\n{examples}\n```")
        actions = [action for action in command._actions if not common & set(action.option_strings)]
        parts += [term for action in actions for term in _option(action, name)]
    return "\n\n".join(parts) + "\n"


def _split(description: str) -> tuple[str, str]:
    """Split a command's docstring into its text, as Markdown, and its examples."""
    text, _, examples = description.partition("Examples\n--------\n")
    paragraphs = [
        f"```text\n{inspect.cleandoc(paragraph)}\n```" if paragraph.startswith("  ") else paragraph
        for paragraph in re.sub(r"``", "`", text).strip("\n").split("\n\n")
    ]
    return "\n\n".join(paragraphs), examples.strip()


def _option(action: argparse.Action, prefix: str) -> Iterator[str]:
    """Yield an argument as a term with its help; nothing for those that are no options."""
    if action.help in (None, argparse.SUPPRESS) or isinstance(action, argparse._SubParsersAction):
        return
    names = ", ".join(f"`{option}`" for option in action.option_strings)
    value = ""
    if action.nargs != 0:
        value = action.metavar or (action.option_strings and action.dest.upper()) or action.dest
        if action.choices is not None:
            value = "|".join(map(str, action.choices))
    shown = " ".join(part for part in (names, f"`{value}`" if value else "") if part)
    required = " <span>**required**</span>" if action.option_strings and action.required else ""
    anchor = action.option_strings[-1].lstrip("-") if action.option_strings else action.dest
    text = verbatim((action.help or "").replace("%%", "%"))
    text = text[:1].upper() + text[1:]
    yield f"{shown}{required} {{ #{prefix}.{anchor} }}\n:   {text}."
