"""``Config``: what a config file says, with overrides applied, and where each value came from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hessinf.registry.errors import ConfigError, Problem
from hessinf.registry.json_text import found
from hessinf.registry.jsonnet import JsonnetOptions, evaluate_file
from hessinf.registry.overrides import (
    Override,
    apply_overrides,
    evaluate_overrides,
    parse_overrides,
    parse_settings,
)


@dataclass(frozen=True)
class Config:
    """A config, ready to be checked.

    Parameters
    ----------
    data
        The JSON object.
    source
        The file it comes from, as it was named.
    overrides
        What was replaced, in order.
    imports
        SHA-256 of every file that was read, by path.
    environment
        The environment variables that were read.
    """

    data: dict[str, Any]
    source: str
    overrides: tuple[Override, ...] = ()
    imports: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str | None] = field(default_factory=dict)

    def origin(self, path: str) -> str | None:
        """Say which override a place comes from; None for the file itself."""
        parts = tuple(path.split("."))
        for override in reversed(self.overrides):
            if override.explains(parts):
                return override.origin
        return None

    def with_origin(self, problem: Problem) -> Problem:
        """Add to a problem where its value came from."""
        return replace(problem, origin=problem.origin or self.origin(problem.path))

    def sha256(self) -> str:
        """Return a hash of what the config says, whatever file says it."""
        import hashlib  # OpenSSL is slow to load

        text = json.dumps(self.data, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def load_config(
    path: str | Path,
    options: JsonnetOptions | None = None,
    *,
    overrides: str | None = None,
    settings: Iterable[str] = (),
) -> Config:
    """Read a config file and apply overrides.

    Parameters
    ----------
    path
        A Jsonnet or JSON file.
    options
        What the Jsonnet may use beside the file.
    overrides
        The argument of ``-o``: a Jsonnet object with dotted paths as keys.
    settings
        The arguments of ``--set``, each ``PATH=VALUE``; they win over ``overrides``.

    Raises
    ------
    ConfigError
        When the file cannot be read or evaluated, says no object, or an override leads nowhere.
    """
    evaluation = evaluate_file(path, options)
    if not isinstance(evaluation.value, dict):
        raise ConfigError(
            f"expected an object at the top, found {found(evaluation.value)}", str(path)
        )
    replaced = parse_settings(settings)
    if overrides is not None:
        further = evaluate_overrides(overrides, options)
        replaced = [*parse_overrides(further.value), *replaced]
        evaluation.imports |= further.imports
        evaluation.environment |= further.environment
    try:
        replaced = apply_overrides(evaluation.value, replaced)
    except ConfigError as error:
        raise ConfigError(error.problems, str(path)) from None
    return Config(
        evaluation.value,
        str(path),
        tuple(replaced),
        evaluation.imports,
        evaluation.environment,
    )
