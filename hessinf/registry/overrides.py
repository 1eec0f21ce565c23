"""Overrides: values from the command line that replace those of a config file.

``-o '{"interpreter.damping": 0.1, model: {...}}'`` takes an object whose keys are dotted paths; a
value replaces what stood there, objects included. ``--set interpreter.damping=0.1`` says the same
for one path without quoting.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from hessinf.registry.errors import ConfigError, Problem
from hessinf.registry.json_text import found
from hessinf.registry.jsonnet import Evaluation, JsonnetOptions, evaluate_text
from hessinf.registry.strict_json import read_strict_json


@dataclass(frozen=True)
class Override:
    """One value for one place.

    Parameters
    ----------
    path
        The place: keys and list indices.
    value
        What is to stand there.
    origin
        How it was given; shown in errors.
    made
        The outermost place that exists only because of it; ``path`` until it was applied.
    """

    path: tuple[str, ...]
    value: Any
    origin: str
    made: tuple[str, ...] = ()

    def explains(self, path: tuple[str, ...]) -> bool:
        """Whether what stands at a place was put there by this override."""
        made = self.made or self.path
        return path[: len(made)] == made


def parse_settings(settings: Iterable[str]) -> list[Override]:
    """Read ``PATH=VALUE``: the value as JSON where it is JSON, else as text.

    Parameters
    ----------
    settings
        The arguments of ``--set``, in order; a later one wins.
    """
    overrides = []
    for setting in settings:
        path, separator, text = setting.partition("=")
        if not separator or not path.strip():
            raise ConfigError(
                f'--set expects PATH=VALUE, such as interpreter.damping=0.1, found "{setting}"'
            )
        try:
            value = read_strict_json(text)
        except ValueError:
            value = text
        overrides.append(Override(_split(path.strip(), setting), value, f"--set {setting}"))
    return overrides


def evaluate_overrides(text: str, options: JsonnetOptions | None = None) -> Evaluation:
    """Evaluate the argument of ``-o``, Jsonnet or JSON; top-level arguments are not for it."""
    try:
        return Evaluation(read_strict_json(text), {}, {})
    except ValueError:
        options = replace(options or JsonnetOptions(), tla_str={}, tla_code={})
        return evaluate_text(text, "-o", options)


def parse_overrides(data: Any) -> list[Override]:
    """Read the value of ``-o``: an object with dotted paths as keys."""
    if not isinstance(data, dict):
        raise ConfigError(f"-o expects an object with dotted paths as keys, found {found(data)}")
    return [Override(_split(path, path), value, f"-o {path}") for path, value in data.items()]


def _split(path: str, shown: str) -> tuple[str, ...]:
    parts = tuple(path.split("."))
    if "" in parts:
        raise ConfigError(f'"{shown}" has an empty part in its path; expected keys joined by "."')
    return parts


def apply_overrides(data: Any, overrides: Iterable[Override]) -> list[Override]:
    """Put values into a config, in place.

    A bare name on the way (``objective: "cross-entropy"``) becomes ``{"type": name}``; objects on
    the way that are absent are made, since checking the whole config afterwards finds a misspelt
    key and says where it came from.

    Parameters
    ----------
    data
        The config.
    overrides
        What to put where, in order.

    Returns
    -------
    list of Override
        The same, with what each of them made.

    Raises
    ------
    ConfigError
        With every path that leads nowhere: past the end of a list, or into a number.
    """
    problems = []
    applied = []
    for override in overrides:
        outcome = _put(data, override)
        if isinstance(outcome, Problem):
            problems.append(outcome)
        else:
            applied.append(outcome)
    if problems:
        raise ConfigError(problems)
    return applied


def _put(data: Any, override: Override) -> Problem | Override:
    node = data
    path = list(override.path)
    made: tuple[str, ...] = ()
    for depth, part in enumerate(override.path):
        last = depth == len(override.path) - 1
        place = ".".join(override.path[: depth + 1])
        if isinstance(node, list):
            if not _is_index(part) or not -len(node) <= int(part) < len(node):
                return Problem(
                    place,
                    f'no such item: expected an index from 0 to {len(node) - 1}, found "{part}"'
                    if node
                    else f'no such item: the list is empty, found "{part}"',
                    origin=override.origin,
                )
            key: Any = int(part) % len(node)
            path[depth] = str(key)
        elif isinstance(node, dict):
            key = part
        else:
            return Problem(
                place,
                f"leads into {found(node)}, which is no object and no list",
                origin=override.origin,
            )
        if last:
            node[key] = override.value
        else:
            child = node[key] if isinstance(node, list) else node.get(key)
            if isinstance(child, str):
                child = node[key] = {"type": child}
            elif child is None:
                child = node[key] = {}
                made = made or tuple(path[: depth + 1])
            node = child
    return replace(override, path=tuple(path), made=made or tuple(path))


def _is_index(part: str) -> bool:
    return part.removeprefix("-").isdecimal()
