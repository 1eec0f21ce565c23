"""The arguments that all commands with a config share."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from hessinf.registry import ConfigError, JsonnetOptions
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from hessinf.commands import run_config
else:
    run_config = lazy_import("hessinf.commands.run_config")


def add_config_arguments(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Declare CONFIG, or several of them, and everything that changes what they say."""
    if several:
        parser.add_argument(
            "configs", metavar="CONFIG", nargs="+", help="a Jsonnet or JSON file (one or more)"
        )
    else:
        parser.add_argument("config", metavar="CONFIG", help="a Jsonnet or JSON file")
    group = parser.add_argument_group("what the config says")
    group.add_argument(
        "-o",
        "--overrides",
        metavar="JSONNET",
        help="an object whose keys are dotted paths and whose values replace what stands there: "
        '\'{"interpreter.damping": 0.1, "model.hidden_sizes.0": 32}\'',
    )
    group.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="replace one value: --set interpreter.damping=0.1 (JSON, else text; repeatable)",
    )
    group.add_argument(
        "-J",
        "--library-path",
        dest="library_paths",
        action="append",
        default=[],
        metavar="DIR",
        help="look up Jsonnet imports here too (repeatable; the last one goes first)",
    )
    for kind, what in (("ext", "external variable"), ("tla", "top-level argument")):
        group.add_argument(
            f"--{kind}-str",
            action="append",
            default=[],
            metavar="NAME=TEXT",
            help=f"a Jsonnet {what}, as text (repeatable)",
        )
        group.add_argument(
            f"--{kind}-code",
            action="append",
            default=[],
            metavar="NAME=CODE",
            help=f"a Jsonnet {what}, as Jsonnet code (repeatable)",
        )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where results go, and what to do with what is there already."""
    parser.add_argument(
        "-s",
        "--serialization-dir",
        dest="directory",
        metavar="DIR",
        required=True,
        help="the directory for the results; one that is not empty is refused",
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="replace an earlier run in DIR, once this one is finished",
    )
    choice.add_argument(
        "-r",
        "--resume",
        action="store_true",
        help="go on with an unfinished run in DIR; start one where there is none",
    )
    parser.add_argument(
        "--device",
        metavar="D",
        help="cpu, cuda, cuda:1 or auto; the same as --set 'device=\"D\"'",
    )


def load_run_config(arguments: argparse.Namespace) -> run_config.CheckedConfig:
    """Read, override and check the config that the arguments name."""
    return _load(arguments, arguments.config)


def load_run_configs(arguments: argparse.Namespace) -> list[run_config.CheckedConfig]:
    """Read and check all configs that the arguments name; overrides hold for each."""
    return [_load(arguments, config) for config in arguments.configs]


def _load(arguments: argparse.Namespace, config: str) -> run_config.CheckedConfig:
    for folder in arguments.library_paths:
        if not os.path.isdir(folder):
            raise ConfigError(f'-J: there is no directory "{folder}"')
    settings = list(arguments.settings)
    if getattr(arguments, "device", None) is not None:
        settings.append(f"device={arguments.device}")
    return run_config.load_checked_config(
        config, jsonnet_options(arguments), overrides=arguments.overrides, settings=settings
    )


def jsonnet_options(arguments: argparse.Namespace) -> JsonnetOptions:
    """Return what the Jsonnet of a config may use beside its file."""
    return JsonnetOptions(
        library_paths=tuple(arguments.library_paths),
        ext_str=_pairs(arguments.ext_str, "--ext-str"),
        ext_code=_pairs(arguments.ext_code, "--ext-code"),
        tla_str=_pairs(arguments.tla_str, "--tla-str"),
        tla_code=_pairs(arguments.tla_code, "--tla-code"),
    )


def _pairs(values: list[str], option: str) -> dict[str, str]:
    pairs = {}
    for value in values:
        name, separator, text = value.partition("=")
        if not separator or not name:
            raise ConfigError(f'{option} expects NAME=VALUE, found "{value}"')
        pairs[name] = text
    return pairs
