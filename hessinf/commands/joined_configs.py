"""Several configs of one model, joined into one: its rows are the interpreters of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hessinf.commands.run_config import CheckedConfig, checked_config
from hessinf.registry import ConfigError
from hessinf.registry.json_text import found
from hessinf.runtime.json_differences import differing_places

OWN = (
    "interpreter",
    "evaluation",
    "include",
    "self_influence",
    "token_influence",
    "report",
)
"""What each config may say in its own way; evaluations are compared where there are several."""

SHOWN = 5
"""Differences that an error lists."""


@dataclass(frozen=True)
class JoinedConfigs:
    """One config that says what all of them say.

    Parameters
    ----------
    checked
        Its interpreter is the first config's, its ``evaluation.methods`` are all other rows.
    sources
        The config that each row comes from, in order.
    evaluated
        Whether one of them has an ``evaluation``.
    """

    checked: CheckedConfig
    sources: Mapping[str, str]
    evaluated: bool


def join_configs(configs: Sequence[CheckedConfig]) -> JoinedConfigs:
    """Join configs that differ in their interpreters alone.

    A row is called by the registered name of its interpreter, or by its name in
    ``evaluation.methods``; where a later row has another's name, its config's name stands behind
    it. The same row of two configs counts once. ``evaluation`` may be left out of some configs.

    Parameters
    ----------
    configs
        Two or more, or one with ``evaluation.methods``.

    Raises
    ------
    ConfigError
        When they differ in anything else, two different rows have one name, or there is only one
        row.
    """
    resolved = [config.resolved() for config in configs]
    named = [(config.config.source, whole) for config, whole in zip(configs, resolved, strict=True)]
    _require_same(
        [
            (source, {key: value for key, value in whole.items() if key not in OWN})
            for source, whole in named
        ]
    )
    evaluations = [
        (source, {"evaluation": {**whole["evaluation"], "methods": None}})
        for source, whole in named
        if whole["evaluation"] is not None
    ]
    _require_same(evaluations)
    rows: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, whole in named:
        methods = (whole["evaluation"] or {}).get("methods", {})
        own = (whole["interpreter"]["type"], whole["interpreter"])
        for name, method in (own, *methods.items()):
            _add(rows, sources, name, method, source)
    if len(rows) < 2:
        raise ConfigError(
            f'there is only one row, "{next(iter(rows))}": give configs with other interpreters, '
            "or further ones in evaluation.methods"
        )
    first_row, *others = rows
    evaluation = evaluations[0][1]["evaluation"] if evaluations else {}
    data = {
        **resolved[0],
        "interpreter": rows[first_row],
        "evaluation": {**evaluation, "methods": {name: rows[name] for name in others}},
        "include": list(dict.fromkeys(item for config in resolved for item in config["include"])),
    }
    joined = replace(
        configs[0].config,
        data=data,
        overrides=tuple(override for config in configs for override in config.config.overrides),
        imports={path: digest for one in configs for path, digest in one.config.imports.items()},
        environment={
            name: value for one in configs for name, value in one.config.environment.items()
        },
    )
    return JoinedConfigs(checked_config(joined), sources, bool(evaluations))


def _require_same(named: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Refuse configs that do not say the same, and show where the first two differ."""
    for source, whole in named[1:]:
        first, expected = named[0]
        lines = [
            f"{path}: {found(here)} in {first}, {found(there)} in {source}"
            for path, here, there in differing_places(expected, whole)
        ]
        if lines:
            more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
            raise ConfigError(
                "\n".join(
                    ["the configs differ in more than their interpreters:", *lines[:SHOWN], *more]
                )
            )


def _add(
    rows: dict[str, Any], sources: dict[str, str], name: str, method: Any, source: str
) -> None:
    """Add a row under its name, or with its config's name where another has it."""
    for called in (name, f"{name} ({Path(source).stem})"):
        if called not in rows:
            rows[called] = method
            sources[called] = source
            return
        if rows[called] == method:
            return
    raise ConfigError(
        f'"{name}" of {source} has other arguments than that of {sources[called]}, which is called '
        f'"{called}" too; give them names of their own, in evaluation.methods'
    )
