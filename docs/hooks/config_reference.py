"""Makes the reference of config keys from the registry, while the site is built.

A page for the keys at the top, one for each catalogue, and one for objects without a name of their
own. What it says is what the code says: signatures, bounds, defaults and docstrings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from markdown_text import verbatim
from mkdocs.structure.files import File, Files

from hessinf.commands.catalogues import all_catalogues
from hessinf.commands.run_config import DEFAULT_OBJECTS, RunConfig
from hessinf.registry import docstring
from hessinf.registry.catalogue import Registration
from hessinf.registry.describe import ArgumentDescription, Description, describe
from hessinf.registry.json_text import type_name
from hessinf.registry.plan import as_json
from hessinf.registry.registrable import Registrable
from hessinf.registry.signatures import constructor_arguments

FOLDER = "reference/config"

ELSEWHERE = ("Subcommand",)
"""Catalogues that no config names."""


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages."""
    for name, text in pages().items():
        files.append(File.generated(config, f"{FOLDER}/{name}", content=text))
    return files


def pages() -> dict[str, str]:
    """Return the text of every page, by file name."""
    bases = {
        title: base
        for title, base in all_catalogues().items()
        if title not in ELSEWHERE and base.__module__.startswith("hessinf.")
    }
    reference = Reference(bases)
    catalogues = {f"{kebab(title)}.md": reference.catalogue_page(title) for title in bases}
    return {"index.md": reference.top_page(), "objects.md": reference.objects_page(), **catalogues}


def own_names(base: type[Registrable]) -> list[Registration]:
    """List what the package itself registers under a base, the default first."""
    entries = [base.catalogue.entries[name] for name in base.list_available()]
    return [item for item in entries if item.target.__module__.startswith("hessinf.")]


class Reference:
    """Everything that a config may say, ready to be written out.

    Parameters
    ----------
    bases
        The base classes, by their names.
    """

    def __init__(self, bases: Mapping[str, type[Registrable]]) -> None:
        self.bases = bases
        self.objects = dict(sorted(self._reached_objects(), key=lambda item: item[0]))
        targets = {
            **{title: f"{kebab(title)}.md" for title in bases},
            **{name: f"objects.md#{name}" for name in self.objects},
        }
        words = "|".join(sorted(targets, key=len, reverse=True))
        self._targets = targets
        self._linked = re.compile(rf"(?<![\w\"`])({words})(?![\w\"`])")

    # -- pages ---------------------------------------------------------------------------------

    def top_page(self) -> str:
        """Return the page of the keys at the top of a config."""
        rows = "\n".join(
            f"| [`{title}`]({kebab(title)}.md) | {markdown(docstring.summary(base.__doc__))} "
            f"| {len(own_names(base))} |"
            for title, base in self.bases.items()
        )
        return f"""\
# Config keys

These pages are made from the code when the site is built. `hessinf describe NAME` prints the same
for one name, and `hessinf schema` prints all of it as a JSON Schema for editors. How configs are
written is said in [Config files](../../config_files.md).

| catalogue | what its names are | names |
|---|---|---:|
{rows}

Objects without a `type` are on the page [Objects](objects.md).

## At the top of a config

{self.arguments(object_arguments(RunConfig, DEFAULT_OBJECTS), "")}
"""

    def objects_page(self) -> str:
        """Return the page of objects whose class is known from their place."""
        parts = [
            "# Objects",
            "Their place says what they are: they have arguments, and no `type`.",
        ]
        for name, target in self.objects.items():
            parts += [
                f"## {name} {{ #{name} }}",
                *paragraphs(
                    docstring.summary(target.__doc__), docstring.explanation(target.__doc__)
                ),
                self.arguments(object_arguments(target), f"{name}."),
            ]
        return "\n\n".join(parts) + "\n"

    def catalogue_page(self, title: str) -> str:
        """Return the page of a catalogue: what is common, then every name."""
        base = self.bases[title]
        described = [describe(base.catalogue, item) for item in own_names(base)]
        common = shared_arguments(described)
        rows = "\n".join(
            f"| [`{item.name}`](#{item.name}){' (default)' if item.is_default else ''} "
            f"| {markdown(item.summary)} |"
            for item in described
        )
        parts = [
            f"# {title}",
            *paragraphs(docstring.summary(base.__doc__), docstring.explanation(base.__doc__)),
            f"| name | what it is |\n|---|---|\n{rows}",
        ]
        if common:
            parts += ["## Arguments of all of them { #all }", self.arguments(common, "all.")]
        parts += [self._name(item, common) for item in described]
        return "\n\n".join(parts) + "\n"

    def _name(self, item: Description, common: Iterable[ArgumentDescription]) -> str:
        """Return the part of a page that describes one registered name."""
        shared = list(common)
        own = [argument for argument in item.arguments if argument not in shared]
        default = ", the default" if item.is_default else ""
        parts = [
            f"## `{item.name}` {{ #{item.name} }}",
            *paragraphs(item.summary, item.explanation),
            f"<small>`{item.qualified_name}`{default}</small>",
        ]
        if own:
            parts.append(self.arguments(own, f"{item.name}."))
        if shared:
            names = ", ".join(f"[`{argument.name}`](#all.{argument.name})" for argument in shared)
            parts.append(f"And the [arguments of all](#all): {names}.")
        if not item.arguments:
            parts.append("No arguments.")
        for title in ("Cost", "Notes", "References"):
            if title in item.sections:
                text = markdown(" ".join(item.sections[title].split()))
                parts.append(f"**{title}.** {text}")
        return "\n\n".join(parts)

    def arguments(self, described: Iterable[ArgumentDescription], prefix: str) -> str:
        """Return arguments as a list of terms, each with an anchor of its own."""
        return "\n\n".join(
            f"`{argument.name}` <span>{self.type_text(argument.type)}</span> "
            f"<span>{self._default(argument)}</span> {{ #{prefix}{argument.name} }}\n"
            f":   {markdown(argument.text)}"
            for argument in described
        )

    def _default(self, argument: ArgumentDescription) -> str:
        if argument.required:
            return "**required**"
        value = json.dumps(self.brief(argument.default), ensure_ascii=False)
        return f"default `{value}`" if "`" not in value else f"default ``{value}``"

    def brief(self, value: Any) -> Any:
        """Return a default without the defaults inside it: ``{"type": "ggn", ...}`` as "ggn"."""
        if isinstance(value, list):
            return [self.brief(item) for item in value]
        if not isinstance(value, dict):
            return value
        inner = self._defaults_of(value)
        left = {key: self.brief(item) for key, item in value.items() if inner.get(key, ...) != item}
        return left["type"] if list(left) == ["type"] else left

    def _defaults_of(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return the defaults of the registered class that an object names, if it names one."""
        name = value.get("type")
        for base in self.bases.values() if isinstance(name, str) else ():
            if base.is_registered(name):
                described = describe(base.catalogue, base.catalogue.find(name)).arguments
                if value.keys() - {"type"} <= {item.name for item in described}:
                    return {item.name: item.default for item in described if not item.required}
        return {}

    def type_text(self, text: str) -> str:
        """Return a type in words, names of catalogues and objects linked to what they are."""
        pieces = self._linked.split(text)
        return "".join(
            f"[{piece}]({self._targets[piece]})" if place % 2 else markdown(piece)
            for place, piece in enumerate(pieces)
        )

    # -- what is reached -----------------------------------------------------------------------

    def _reached_objects(self) -> Iterator[tuple[str, type]]:
        """Find the dataclasses that some argument takes, at any depth."""
        waiting: list[Any] = [RunConfig]
        waiting += [item.target for base in self.bases.values() for item in own_names(base)]
        seen: set[Any] = set()
        while waiting:
            target = waiting.pop()
            if target in seen:
                continue
            seen.add(target)
            hidden = getattr(target, "injected", ())
            for argument in constructor_arguments(target).values():
                if argument.name not in hidden:
                    found = [item for item in classes_in(argument.type()) if is_object(item)]
                    waiting += found
                    yield from ((item.__name__, item) for item in found)


def classes_in(annotation: Any) -> Iterator[type]:
    """Yield every class that an annotation names, at any depth."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from classes_in(argument)


def is_object(target: type) -> bool:
    """Whether a config writes objects of a class without a ``type``: it is in no catalogue."""
    registrable = issubclass(target, Registrable)
    return target.__module__.startswith("hessinf.") and not registrable


def object_arguments(
    target: type, defaults: Mapping[str, Any] | None = None
) -> list[ArgumentDescription]:
    """Describe the arguments of a class that is in no catalogue.

    Parameters
    ----------
    target
        The class.
    defaults
        Defaults that are filled in before its constructor is called.
    """
    texts = docstring.parameters(target.__doc__)
    filled = defaults or {}
    return [
        ArgumentDescription(
            argument.name,
            type_name(argument.type()),
            argument.required and argument.name not in filled,
            filled.get(argument.name, None if argument.required else as_json(argument.default)),
            texts.get(argument.name, ""),
        )
        for argument in constructor_arguments(target).values()
    ]


def shared_arguments(described: list[Description]) -> list[ArgumentDescription]:
    """List the arguments that every name of a catalogue takes in the same way."""
    if len(described) < 2:
        return []
    first, *others = described
    return [
        argument
        for argument in first.arguments
        if all(argument in other.arguments for other in others)
    ]


def paragraphs(summary: str, explanation: Iterable[str]) -> list[str]:
    """Return the paragraphs of a docstring as Markdown."""
    return [markdown(text) for text in (summary, *explanation)]


def kebab(name: str) -> str:
    """Turn ``DatasetReader`` into ``dataset-reader``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def markdown(text: str) -> str:
    """Turn the text of a docstring into Markdown: code stays code, all else is shown as it is."""
    text = re.sub(r":\w+:`~?([^`]+)`", lambda found: f"`{found[1].rpartition('.')[2]}`", text)
    pieces = re.split(r"(``.+?``|`[^`]+`)", text)
    return "".join(
        f"`{piece.strip('`')}`" if place % 2 else verbatim(piece)
        for place, piece in enumerate(pieces)
    )
