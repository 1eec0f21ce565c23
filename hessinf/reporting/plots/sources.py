"""What plots are made from: a run directory, or what Python has in its hands."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hessinf.reporting.plots.errors import PlotError
from hessinf.reporting.reported_run import read_object

RUN = str | os.PathLike[str]
"""A run directory."""


def directory_of(given: Any) -> Path | None:
    """Return the run directory that was given: as a path, or as what a command's function returned.

    Parameters
    ----------
    given
        Anything; None is returned where it is neither.

    Raises
    ------
    PlotError
        When it is a path, and not one of a directory.
    """
    if isinstance(given, str | os.PathLike):
        folder = Path(given)
    else:
        found = getattr(given, "directory", None)
        if not isinstance(found, Path):
            return None
        folder = found
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise PlotError(f"{folder} {what}, expected the directory of a run")
    return folder


def results_in(folder: Path, file: str, command: str) -> dict[str, Any]:
    """Read the results of a run.

    Parameters
    ----------
    folder
        Its directory.
    file
        The file that is needed.
    command
        Which command writes it.

    Raises
    ------
    PlotError
        When it is not there.
    """
    found = read_object(folder / file)
    if not found:
        raise PlotError(
            f"{folder} has no {file}; hessinf {command} writes it, when the run is complete"
        )
    return found


def as_objects(given: Any) -> list[Mapping[str, Any]] | None:
    """Return interpretations as the objects of ``interpretations.jsonl``; None where it is no such.

    Parameters
    ----------
    given
        An :class:`~hessinf.Interpretation`, a line of the file as a dict, or several of them.
    """
    if isinstance(given, Mapping) or hasattr(given, "to_json"):
        given = [given]
    if not isinstance(given, Iterable) or hasattr(given, "shape"):
        return None
    found: list[Mapping[str, Any]] = []
    for one in given:
        line = one if isinstance(one, Mapping) else getattr(one, "to_json", dict)()
        if not {"query", "helpful", "harmful"} <= set(line):
            return None
        found.append(line)
    return found


def unknown(what: str, expected: str, given: Any) -> PlotError:
    """Make the error of something that cannot be drawn."""
    kind = type(given)
    return PlotError(f"{what} draws {expected}; found {kind.__module__}.{kind.__qualname__}")
