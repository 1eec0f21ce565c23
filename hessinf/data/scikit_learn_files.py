"""The tables that scikit-learn ships, read from its files without importing it.

The import takes a second, and brings SciPy and (where they are installed) pandas along; the files
take a few milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hessinf.data.errors import DataError, quoted
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")


@dataclass(frozen=True, eq=False)
class Table:
    """A table of examples.

    Parameters
    ----------
    data
        ``[N, D]``, float64.
    target
        ``[N]``: class numbers, or values.
    feature_names
        D names.
    target_names
        The names of the classes; none for a regression.
    """

    data: np.ndarray
    target: np.ndarray
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...] = ()


def classified_table(file: str, feature_names: tuple[str, ...]) -> Table:
    """Read a table of measurements with classes.

    Parameters
    ----------
    file
        Its name. The first line has the sizes and the names of the classes; the last column the
        class.
    feature_names
        What the other columns are called.
    """
    with open(_folder() / file, encoding="utf-8") as lines:
        names = next(lines).strip().split(",")[2:]
        values = np.loadtxt(lines, delimiter=",")  # [N, D + 1]
    return Table(values[:, :-1], values[:, -1].astype(int), feature_names, tuple(names))


def numbers(file: str, delimiter: str | None = None) -> np.ndarray:
    """Read a file of numbers, compressed or not."""
    values: np.ndarray = np.loadtxt(_folder() / file, delimiter=delimiter)
    return values


@cache
def _folder() -> Path:
    found = find_spec("sklearn")
    for root in (found.submodule_search_locations if found is not None else None) or ():
        folder = Path(root) / "datasets" / "data"
        if folder.is_dir():
            return folder
    where = "is not installed" if found is None else f"has no {quoted('datasets/data')} folder"
    raise DataError(f"scikit-learn {where}, and its data sets are read from there; install it")
