"""Make headline tables: ``python -m benchmarks.tables --help``."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.commit_name import commit
from benchmarks.tables import definition, markdown, running
from hessinf.errors import HessinfError
from hessinf.runtime.files import write_atomically

ROOT = definition.FOLDER.parents[1]
CACHE = ROOT / "build" / "tables"
OUTPUT = definition.FOLDER / "results"

PACKAGES = ("torch", "numpy", "scikit-learn")

DESCRIPTION = """\
Makes headline tables from benchmarks/tables/tN.jsonnet, and writes them as JSON and Markdown.

Runs, and the ground truth that they share, are kept in build/tables: a call that was interrupted
goes on where it was, and a call after it is quick. Set OMP_NUM_THREADS=1.
"""


def parser() -> argparse.ArgumentParser:
    """Say what can be asked for."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.tables",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "tables", nargs="*", metavar="TABLE", help=f"{', '.join(definition.NAMES)}; none lists them"
    )
    made.add_argument("--output", type=Path, default=OUTPUT, metavar="DIR", help="for the tables")
    made.add_argument("--cache", type=Path, default=CACHE, metavar="DIR", help="for the runs")
    made.add_argument(
        "--small",
        action="store_true",
        help="try it in seconds, with numbers that say nothing; needs --output",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the tables, or list them."""
    given = parser().parse_args(arguments)
    unknown = [name for name in given.tables if name not in definition.NAMES]
    if unknown:
        say(f'there is no table "{unknown[0]}"; there are: {", ".join(definition.NAMES)}')
        return 2
    if given.small and given.output == OUTPUT:
        say("--small is to try a table: say with --output where its numbers go")
        return 2
    if not given.tables:
        for name in definition.NAMES:
            table = definition.load(name)
            print(f"{name}  {table.title} ({table.estimate})")
        return 0
    for name in given.tables:
        made = make(name, cache=given.cache / ("small" if given.small else "."), small=given.small)
        given.output.mkdir(parents=True, exist_ok=True)
        # In one line: nobody reads it, and it holds tens of thousands of numbers.
        write_atomically(given.output / f"{name}.json", json.dumps(made, allow_nan=False) + "\n")
        text = markdown.table(made)
        write_atomically(given.output / f"{name}.md", text)
        print(text)
    return 0


def make(name: str, *, cache: Path, small: bool) -> dict[str, Any]:
    """Make all runs of a table, and put together what it says.

    Parameters
    ----------
    name
        The table.
    cache
        Where its runs are kept.
    small
        Whether it is only tried.
    """
    table = definition.load(name, small=small)
    say(f"{table.title} (one core: {table.estimate})")
    runs = {}
    for place, run in enumerate(table.runs):
        say(f"{name}, run {place + 1} of {len(table.runs)}: {run}")
        runs[run] = running.finished(table, run, cache)
        say(f"{name}, {run}: {runs[run]['cpu_seconds']:,.0f} CPU seconds")
    return {
        "table": name,
        "title": table.title,
        "about": " ".join(table.about.split()),
        "report": table.report,
        "steps": [list(step) for step in table.steps],
        "command": f"python -m benchmarks.tables {name}" + (" --small" if small else ""),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit(),
        "versions": versions(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "cpu_seconds": round(sum(run["cpu_seconds"] for run in runs.values()), 1),
        "runs": runs,
    }


def versions() -> dict[str, str]:
    """Name the versions of what computes."""
    found = {"python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in PACKAGES}


def say(text: str) -> None:
    """Tell the user what is going on."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except HessinfError as error:
        say(str(error))
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        say("interrupted; what is finished is kept: give the same command again")
        sys.exit(130)
