"""What shells complete after ``hessinf``: commands, options, names, files, paths of settings.

It runs at each press of the key: nothing heavy is imported, of plugins only installed ones (those
of the working directory are not run unasked), and configs are read, not checked.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from hessinf.commands.catalogues import all_catalogues, find_base
from hessinf.errors import HessinfError
from hessinf.registry import docstring

VARIABLE = "_ARGCOMPLETE"
"""The environment variable in which shells ask for completions."""

Completer = Callable[..., Mapping[str, str]]
"""Called with ``prefix`` and ``parsed_args`` among others; returns completions and their texts."""


def complete(parsers: Iterable[argparse.ArgumentParser], parser: argparse.ArgumentParser) -> None:
    """Write completions to where the shell reads them, and end the process.

    Parameters
    ----------
    parsers
        Those of the commands: what is completed for an argument goes by its name in the help.
    parser
        The whole command line's.
    """
    import argcomplete
    from argcomplete.completers import SuppressCompleter

    for one in (parser, *parsers):
        for action in one._actions:
            completer = COMPLETERS.get(str(action.metavar))
            if completer is not None:
                action.completer = completer  # type: ignore[attr-defined]
    argcomplete.autocomplete(
        parser,
        always_complete_options=False,
        default_completer=SuppressCompleter(),
    )


def names(parsed_args: argparse.Namespace, **_: Any) -> dict[str, str]:
    """Return all registered names, or those of the catalogue that ``--base`` names."""
    with contextlib.suppress(HessinfError):
        base = getattr(parsed_args, "base", None)
        bases = all_catalogues().values() if base is None else [find_base(base)]
        return {
            name: docstring.summary(entry.target.__doc__)
            for one in bases
            for name, entry in sorted(one.catalogue.entries.items())
        }
    return {}  # there is no such catalogue


def bases(**_: Any) -> dict[str, str]:
    """Return the catalogues."""
    return {name: docstring.summary(base.__doc__) for name, base in all_catalogues().items()}


def configs(prefix: str, **_: Any) -> dict[str, str]:
    """Return config files, and folders that may hold some."""
    return files(prefix, (".jsonnet", ".json"))


def directories(prefix: str, **_: Any) -> dict[str, str]:
    """Return folders."""
    return files(prefix, ())


def scores(prefix: str, **_: Any) -> dict[str, str]:
    """Return files of scores, with the name before them that the row has been given."""
    name, separator, path = prefix.rpartition("=")
    return {f"{name}{separator}{file}": "" for file in files(path, (".npy",))}


def plugins(prefix: str, **_: Any) -> dict[str, str]:
    """Return Python files, and folders that may hold some."""
    return files(prefix, (".py",))


def devices(**_: Any) -> dict[str, str]:
    """Return the devices that have a name."""
    return {"auto": "a GPU where there is one", "cpu": "the processor", "cuda": "the first GPU"}


def files(prefix: str, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Return the folders, and the files of some endings, whose path starts as a word does."""
    folder, separator, start = prefix.rpartition("/")
    found = {}
    with (
        contextlib.suppress(OSError),
        os.scandir(os.path.expanduser(folder + separator) or ".") as there,
    ):
        for entry in there:
            hidden = entry.name.startswith(".") and not start.startswith(".")
            if not entry.name.startswith(start) or hidden or not entry.name.isprintable():
                continue
            if entry.is_dir():
                found[f"{folder}{separator}{entry.name}/"] = ""
            elif entry.name.endswith(suffixes):
                found[f"{folder}{separator}{entry.name}"] = ""
    return dict(sorted(found.items()))


def settings(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> dict[str, str]:
    """Return the paths that the config has, or may have; behind ``=``, the values of one."""
    from hessinf.commands.run_config import DEFAULT_OBJECTS, RunConfig
    from hessinf.commands.setting_keys import SettingKeys
    from hessinf.registry.schema import json_schema

    config = {**DEFAULT_OBJECTS, **_config(parsed_args)}
    keys = SettingKeys(json_schema(RunConfig, "hessinf config"), config)
    path, separator, _value = prefix.partition("=")
    if separator:
        return {f"{path}={value}": "" for value in keys.values(path)}
    return {f"{path}=": text for path, text in keys.paths().items()}


def _config(arguments: argparse.Namespace) -> dict[str, Any]:
    """Read the config that stands on the command line, if there is one that can be read."""
    from hessinf.commands.config_arguments import jsonnet_options
    from hessinf.registry import load_config

    for config in _configs(arguments):
        with contextlib.suppress(HessinfError):
            said = getattr(arguments, "settings", None) or ()
            return load_config(config, jsonnet_options(arguments), settings=said).data
    return {}


def _configs(arguments: argparse.Namespace) -> Iterator[str]:
    one = getattr(arguments, "config", None)
    if one is not None:
        yield one
    yield from getattr(arguments, "configs", None) or ()


COMPLETERS: Mapping[str, Completer] = {
    "NAME": names,
    "BASE": bases,
    "CONFIG": configs,
    "DIR": directories,
    "[NAME=]FILE": scores,
    "PKG": plugins,
    "D": devices,
    "PATH=VALUE": settings,
}
"""What is completed for an argument, by its name in the help."""
