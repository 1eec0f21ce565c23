"""Parts of configs in words: what a registered object is called, and how it was set up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hessinf.display.numbers import setting

LEFT_OUT = ("type", "batch_size", "query_batch_size", "memory_limit", "dtype", "ignore_index")
"""Arguments of objects that change no result, or hardly; false, null and empty ones say nothing."""


def spoken(specification: Any) -> str:
    """Name a registered object, with the arguments that say something: ``mlp (hidden 64, 64)``.

    Parameters
    ----------
    specification
        What a config says: an object with a "type", or a name alone.
    """
    if not isinstance(specification, Mapping):
        return str(specification)
    arguments = _arguments(specification)
    name = str(specification.get("type", ""))
    return f"{name} ({arguments})" if arguments else name


def _arguments(arguments: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {_value(value)}"
        for key, value in arguments.items()
        if key not in LEFT_OUT and value is not False and value not in (None, [], {})
    )


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return spoken(value) if "type" in value else _arguments(value)
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return setting(value)
