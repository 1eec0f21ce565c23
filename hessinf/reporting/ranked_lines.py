"""A ranking of all training examples, read without the pictures that nobody will be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hessinf.reporting.report_error import ReportError

WHOLE = 200
"""Lines of the ranking that are read whole: the suspects that a report shows."""

REQUIRED = {"index", "id", "display", "target", "self_influence", "loss"}
"""Keys of a line."""

NUMBER = rb"-?[\d.]+(?:[eE][-+]?\d+)?"

HEAD = re.compile(rb'\{"rank": \d+, "index": (\d+), "id": "')
"""A line begins so, with the display to come."""

TAIL = re.compile(
    rb'"self_influence": (null|%s), "loss": (%s), "target": [^"{}]*\}\s*\Z' % (NUMBER, NUMBER)
)
"""A line ends so: no text can look like it, since texts end in a quote."""

TAIL_LENGTH = 200
"""Bytes at the end of a line that hold these; where they do not, the line is read whole."""


def ranked_lines(file: Path) -> Iterator[dict[str, Any]]:
    """Read ``self_influence.jsonl``, the largest first.

    Parameters
    ----------
    file
        Where it is.

    Yields
    ------
    dict
        A line each; from :data:`WHOLE` on with "index", "self_influence" and "loss" alone where
        that saves reading the display.

    Raises
    ------
    ReportError
        Where a line is broken.
    """
    with open(file, "rb") as lines:
        for place, line in enumerate(lines):
            short = None if place < WHOLE else _numbers(line)
            yield _whole(line, file, place + 1) if short is None else short


def _whole(line: bytes, file: Path, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise ReportError(f"cannot read {file}, line {number}: {error}") from error
    if not (isinstance(found, dict) and found.keys() >= REQUIRED):
        raise ReportError(f"{file}, line {number}: this is no example of a ranking")
    return found


def _numbers(line: bytes) -> dict[str, Any] | None:
    head, tail = HEAD.match(line), TAIL.search(line[-TAIL_LENGTH:])
    if head is None or tail is None:
        return None
    value = None if tail[1] == b"null" else float(tail[1])
    return {"index": int(head[1]), "self_influence": value, "loss": float(tail[2])}
