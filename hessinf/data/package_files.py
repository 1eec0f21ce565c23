"""Data that installed packages bring along, found without importing them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from hessinf.data.errors import DataError, quoted


def package_path(distribution: str, module: str, inside: str, advice: str) -> Path:
    """Find a file or a folder of an installed package.

    Parameters
    ----------
    distribution
        What the package is called where it is installed from.
    module
        What it is called where it is imported.
    inside
        Where to look in it, with slashes.
    advice
        Ends the message where it is not there.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        When the package is not installed, or has no such file.
    """
    found = find_spec(module)
    for root in (found.submodule_search_locations if found is not None else None) or ():
        path = Path(root) / inside
        if path.exists():
            return path
    where = "is not installed" if found is None else f"has no {quoted(inside)}"
    raise DataError(f"{distribution} {where}, {advice}")
