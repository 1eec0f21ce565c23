"""What earlier runs of ``benchmarks.engine`` found: a line of JSON for each run.

A file of lines needs no further package, keeps flops, bytes and shares beside times, and is read
by anything that plots. asv would build an environment for each commit, pytest-benchmark repeats
functions to keep statistics of them (both are alive); here are whole runs with many numbers each,
in units of the matrix product of the same process, so that lines of different days compare.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine_rows import Row


class NoHistoryError(Exception):
    """Nothing to compare with; its text says what there is."""


def entry(facts: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Make the line of a run.

    Parameters
    ----------
    facts
        Commit, date, machine, versions.
    rows
        What was found; single operations are left out.
    """
    kept = {
        row.name: {
            "kernels": round(row.kernels, 4),
            "share": None if row.share is None else round(row.share, 4),
            "flops": row.flops,
            "bytes": row.bytes,
        }
        for row in rows
        if row.group != "operation"
    }
    return facts | {"rows": kept}


def append(file: Path, line: dict[str, Any]) -> None:
    """Add the line of a run."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a", encoding="utf-8") as lines:
        lines.write(json.dumps(line, ensure_ascii=False) + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    """Read all lines, the oldest first."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]


def find(lines: Sequence[dict[str, Any]], commit: str) -> dict[str, Any]:
    """Return the last line of a commit, given by the start of its hash.

    Raises
    ------
    NoHistoryError
        When there is none.
    """
    for line in reversed(lines):
        if str(line["commit"]).startswith(commit):
            return line
    known = ", ".join(dict.fromkeys(line["commit"][:9] for line in lines)) or "none"
    raise NoHistoryError(f'the history has no run of commit "{commit}"; it has: {known}')


def comparison(before: dict[str, Any], after: dict[str, Any], least: float = 0.01) -> str:
    """Compare two lines: what both have, the largest change first.

    Parameters
    ----------
    before, after
        Lines of a history.
    least
        Leave out what takes less than so many matrix products in both.
    """
    both = [name for name in after["rows"] if name in before["rows"]]
    changes = []
    for name in both:
        old, new = (line["rows"][name]["kernels"] for line in (before, after))
        if max(old, new) >= least and min(old, new) > 0:
            changes.append((new / old, old, new, name))
    changes.sort(key=lambda change: -max(change[0], 1 / change[0]))
    said = [f"{line['commit'][:9]} ({line['date']})" for line in (before, after)]
    rows = [
        f"{said[0]} → {said[1]}, in 17.2-GFLOP sgemms",
        f"{'before':>10} {'after':>10} {'ratio':>7}",
    ]
    rows += [f"{old:10.3f} {new:10.3f} {ratio:6.2f}x  {name}" for ratio, old, new, name in changes]
    gone = [name for name in before["rows"] if name not in after["rows"]]
    if gone:
        rows.append(f"only before: {len(gone)} lines, {gone[0]} among them")
    return "\n".join(rows)
