"""Opening a file that a config names, with errors that say what is there instead."""

from __future__ import annotations

import codecs
from pathlib import Path

from hessinf.data.errors import DataError, quoted
from hessinf.registry.suggestions import did_you_mean


def find_file(path: str) -> Path:
    """Find a file to read.

    Parameters
    ----------
    path
        As the config says; ``~`` is the home directory.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        When it is missing, a directory or empty.
    """
    if not path:
        raise DataError('found "" as a path, expected a file')
    file = Path(path).expanduser()
    if file.is_dir():
        raise DataError(f"{path} is a directory, expected a file")
    if not file.parent.is_dir():
        raise DataError(
            f"there is no file {path}: its directory does not exist; "
            "paths are relative to the working directory"
        )
    if not file.exists():
        siblings = [entry.name for entry in file.parent.iterdir() if entry.is_file()]
        raise DataError(f"there is no file {path}{did_you_mean(file.name, siblings)}")
    if file.stat().st_size == 0:
        raise DataError(f"{path} is empty")
    return file


def read_text(path: str, encoding: str) -> str:
    """Read a whole text file.

    Parameters
    ----------
    path
        As the config says.
    encoding
        How its bytes spell characters. A byte order mark in front of UTF-8 is skipped.

    Returns
    -------
    str

    Raises
    ------
    DataError
        When there is no such file, it cannot be read, or its bytes are not in that encoding.
    """
    try:
        content = find_file(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode(encoding)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}, line {line}: found the byte 0x{error.object[error.start]:02x}, "
            f"which is not {encoding}; pass the file's encoding, for example "
            f"encoding: {quoted('latin-1' if encoding != 'latin-1' else 'utf-8')}"
        ) from error


def check_encoding(encoding: str) -> None:
    """Raise a ValueError for the name of an encoding that does not exist."""
    try:
        "".encode(encoding)  # also refuses codecs of bytes, such as base64
    except (LookupError, UnicodeError):
        raise ValueError(f"encoding {quoted(encoding)} is not known to Python") from None
