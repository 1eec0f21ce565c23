"""Files that are whole or absent: written beside their place, flushed, renamed."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

UNFINISHED_SUFFIX = ".unfinished"
"""What is written beside its place carries this suffix until it is complete."""

RETIRED_SUFFIX = ".retired"
"""What a new directory replaces carries this suffix, from the moment it leaves its place until the
new one stands there."""

RETIRED_NAME = re.compile(rf"\.(?P<name>.+)\.\d+{re.escape(RETIRED_SUFFIX)}", re.DOTALL)


def _beside(path: Path, suffix: str = UNFINISHED_SUFFIX) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}{suffix}")


def _flush_directory(directory: Path) -> None:
    """Make a rename in ``directory`` survive a power cut, where the system can."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:  # Windows cannot open directories; the rename is still atomic.
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: str | Path, data: bytes | str) -> None:
    """Write a file so that readers see the old content or the new, never a part.

    Parameters
    ----------
    path
        Where the file belongs.
    data
        Its whole content; text is written as UTF-8. Lone surrogates, which stand for bytes of file
        names that are no UTF-8, are written as escapes that JSON reads back.
    """
    path = Path(path)
    content = data.encode("utf-8", errors="backslashreplace") if isinstance(data, str) else data
    unfinished = _beside(path)
    try:
        with open(unfinished, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    _flush_directory(path.parent)


def write_json_atomically(path: str | Path, value: Any) -> None:
    """Write a JSON file, indented by two, whole or not at all.

    Parameters
    ----------
    path
        Where the file belongs.
    value
        What it says. NaN and infinity are refused: they are not JSON.
    """
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def replace_directory(path: str | Path) -> Iterator[Path]:
    """Fill a directory beside its place, and put it in place when the block ends well.

    Parameters
    ----------
    path
        Where the directory belongs. What stood there is replaced at the end, never earlier.

    Yields
    ------
    Path
        The directory to fill. It is removed when the block raises.
    """
    path = Path(path)
    unfinished = _beside(path)
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        _flush_tree(unfinished)
        _put_in_place(unfinished, path)
    finally:
        if unfinished.exists():
            shutil.rmtree(unfinished, ignore_errors=True)
    _flush_directory(path.parent)


def _flush_tree(directory: Path) -> None:
    """Write the files of a directory through to the disk before its name says it is complete."""
    for folder, _, names in os.walk(directory):
        for name in names:
            descriptor = os.open(Path(folder, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        _flush_directory(Path(folder))


def _put_in_place(unfinished: Path, path: Path) -> None:
    """Rename a complete directory to its place; what stands there is removed only afterwards."""
    retired = _beside(path, RETIRED_SUFFIX)
    if path.exists():
        if retired.exists():  # left by an earlier process of the same number; path is newer
            shutil.rmtree(retired)
        os.replace(path, retired)
    try:
        os.replace(unfinished, path)
    except BaseException:
        if retired.exists() and not path.exists():
            os.replace(retired, path)
        raise
    if retired.is_dir():
        shutil.rmtree(retired)
    else:
        retired.unlink(missing_ok=True)


def restore_retired(directory: str | Path) -> list[Path]:
    """Put back what a process, killed while it replaced a directory, had taken from its place.

    Parameters
    ----------
    directory
        Where to look, not below it.

    Returns
    -------
    list of Path
        What was put back: only where the place is empty, and the newest one of several.
    """
    found: dict[Path, list[Path]] = {}
    for entry in Path(directory).iterdir():
        match = RETIRED_NAME.fullmatch(entry.name)
        if match is not None:
            found.setdefault(entry.with_name(match["name"]), []).append(entry)
    restored = []
    for path, entries in sorted(found.items()):
        if not path.exists():
            os.replace(max(entries, key=lambda entry: entry.stat().st_ctime_ns), path)
            restored.append(path)
    return restored


def remove_unfinished(directory: str | Path) -> None:
    """Remove what a killed process left half-written in a directory, and lose nothing complete.

    What had left its place for a directory that never arrived goes back; see
    :func:`restore_retired`.

    Parameters
    ----------
    directory
        Where to look, not below it.
    """
    restore_retired(directory)
    for entry in list(Path(directory).iterdir()):
        suffixes = (UNFINISHED_SUFFIX, RETIRED_SUFFIX)
        if entry.name.startswith(".") and entry.name.endswith(suffixes):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
