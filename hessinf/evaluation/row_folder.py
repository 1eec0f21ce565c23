"""The folder of a row, whose name may be any text."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote


def row_folder(folder: Path, row: str) -> Path:
    """Return the folder in which a row's numbers are kept.

    Parameters
    ----------
    folder
        The folder of all rows.
    row
        The name of the row; what file names cannot have is escaped as in web addresses.
    """
    name = quote(row, safe=" ")
    name = f"%2E{name[1:]}" if name.startswith(".") else name
    return folder / name
