"""Where two JSON values differ."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any


def differing_places(
    first: Any, second: Any, same: Callable[[Any, Any], bool] = operator.eq, path: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Walk through the objects of two JSON values, and yield what is not the same.

    Parameters
    ----------
    first, second
        The values. Lists are compared as a whole.
    same
        What counts as the same, of values that are not both objects.
    path
        Where they stand.

    Yields
    ------
    tuple
        The dotted path of a place and both values there, None for a key that one side lacks.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        for key in [*first, *(key for key in second if key not in first)]:
            inside = f"{path}.{key}" if path else str(key)
            yield from differing_places(first.get(key), second.get(key), same, inside)
    elif not same(first, second):
        yield path, first, second
