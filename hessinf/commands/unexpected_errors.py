"""What is shown of an error that nobody foresaw: in a plugin, more often than not."""

from __future__ import annotations

import sys
from types import TracebackType

LIBRARIES = ("torch", "numpy", "sklearn", "safetensors", "pyarrow", "zarr")
"""An unexpected error is shown with the line that called these, not with one inside them."""


def unexpected(error: Exception) -> str:
    """Describe an error in one line, with the place it comes from.

    Parameters
    ----------
    error
        One that was raised.
    """
    text = str(error).strip().partition("\n")[0]
    name = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"unexpected error: {name} ({_place(error.__traceback__)})"


def _place(step: TracebackType | None) -> str:
    """Return file and line of the innermost frame that is no library's."""
    place = "no place known"
    while step is not None:
        package = str(step.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in sys.stdlib_module_names and package not in LIBRARIES:
            place = f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"
        step = step.tb_next
    return place
