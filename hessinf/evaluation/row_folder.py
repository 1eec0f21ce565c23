"""The folder of a row, whose name may be any text."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import quote

LONGEST = 200
"""Letters of a folder's name; file systems take 255 bytes."""


def row_folder(folder: Path, row: str) -> Path:
    """Return the folder in which a row's numbers are kept.

    Parameters
    ----------
    folder
        The folder of all rows.
    row
        The name of the row; what file names cannot have is escaped as in web addresses. The rest of
        what gets too long by it is a hash.
    """
    name = quote(row, safe=" ")
    name = f"%2E{name[1:]}" if name.startswith(".") else name
    if len(name) > LONGEST:
        digest = hashlib.sha256(row.encode()).hexdigest()[:16]
        name = f"{name[: LONGEST - 1 - len(digest)]}-{digest}"
    return folder / name
