"""Errors of the data room, and how several problems in one file are listed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from hessinf.errors import HessinfError

SHOWN_PROBLEMS = 10
"""So many problems are shown in full; the rest are counted."""

LONGEST_VALUE = 60
"""Values found in files are cut to so many characters in messages."""


class DataError(HessinfError):
    """The data cannot be used; the message names the place and what to try."""


def list_problems(headline: str, problems: Sequence[str]) -> str:
    """Write a headline and the first few problems, and count the rest.

    Parameters
    ----------
    headline
        The first line.
    problems
        One line each.

    Returns
    -------
    str
        The text of a message.
    """
    lines = [headline, *(f"  {problem}" for problem in problems[:SHOWN_PROBLEMS])]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"  ... and {len(problems) - SHOWN_PROBLEMS} more")
    return "\n".join(lines)


def counted(count: int, noun: str) -> str:
    """Write a number and its noun, ``1 row`` or ``2 rows``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def quoted(value: Any) -> str:
    """Write a value found in a file as JSON would, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def listed(names: Iterable[str]) -> str:
    """Write names in quotes, with commas; of many only the first thirty."""
    names = list(names)
    text = ", ".join(quoted(name) for name in names[:30])
    return text if len(names) <= 30 else f"{text}, ... ({len(names)} in all)"
