"""One field of what is shown of an example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hessinf.registry.suggestions import did_you_mean

FIELDS_SHOWN = 12
"""How many fields a message lists."""


def display_field(display: Mapping[str, Any], field: str) -> Any:
    """Find a field by its name, or by the names of those around it, with dots between.

    Parameters
    ----------
    display
        What is shown of an example.
    field
        ``"label"``, or ``"row.sex"`` for a table with the column sex. A name may have a dot in it.

    Raises
    ------
    KeyError
        When there is no such field.
    """
    value: Any = display
    rest = field
    while rest and isinstance(value, Mapping):
        if rest in value:
            return value[rest]
        first, _, rest = rest.partition(".")
        if first not in value:
            break
        value = value[first]
    raise KeyError(field)


def field_names(display: Mapping[str, Any]) -> Iterator[str]:
    """Name all fields that :func:`display_field` finds, the innermost only."""
    for name, value in display.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{inner}" for inner in field_names(value))
        else:
            yield name


def fields_there(display: Mapping[str, Any], field: str) -> str:
    """Write, for a message, which fields there are, and which one may have been meant."""
    names = list(field_names(display))
    more = f" and {len(names) - FIELDS_SHOWN} more" if len(names) > FIELDS_SHOWN else ""
    return f"there are: {', '.join(names[:FIELDS_SHOWN])}{more}{did_you_mean(field, names)}"
