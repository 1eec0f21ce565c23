"""The tables that scikit-learn ships, read from its files without importing it.

The import takes a second, and brings SciPy and (where they are installed) pandas along; the files
take a few milliseconds.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hessinf.data.package_files import package_path
from hessinf.data.table import Table
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")


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
    return package_path(
        "scikit-learn",
        "sklearn",
        "datasets/data",
        "and its data sets are read from there; install it",
    )
