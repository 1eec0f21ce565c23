"""JSON as the standard has it: what Python's reader lets pass besides is refused."""

from __future__ import annotations

import json
import math
from typing import Any


def read_strict_json(text: str) -> Any:
    """Read JSON: no NaN, no numbers that become infinite, no key twice.

    Parameters
    ----------
    text
        The JSON.

    Raises
    ------
    ValueError
        When it is no such JSON, or nested too deeply to be read.
    """
    try:
        return json.loads(
            text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique_keys
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(text: str) -> None:
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)
