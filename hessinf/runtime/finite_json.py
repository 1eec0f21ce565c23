"""JSON of numbers as they come out of arithmetic."""

from __future__ import annotations

import math
from typing import Any


def number_or_null(value: float) -> float | None:
    """Return a number as JSON has it where NaN means that there is none: null."""
    return None if math.isnan(value) else float(value)


def finite_json(value: Any) -> Any:
    """Return JSON in which what is not finite is a text: "nan", "inf".

    Parameters
    ----------
    value
        JSON, tuples and scalars of NumPy included.
    """
    if isinstance(value, dict):
        return {str(key): finite_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(item) for item in value]
    if not isinstance(value, bool | int | float | str) and hasattr(value, "tolist"):
        return finite_json(value.tolist())  # arrays too
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return value
