"""How near dense contractions of scores are to the machine's matrix product.

:mod:`benchmarks.engine` measures it, shape by shape; here its verdict is read.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.peers import child
from benchmarks.peers.session import Session, say


def measure(session: Session, runs: int) -> dict[str, Any]:
    """Run the shapes of linear layers in a process of their own, and read the bar.

    Raises
    ------
    SystemExit
        If it wrote no results.
    """
    say("contraction: shapes of linear layers")
    folder = session.directory / "engine"
    written = folder / "engine.json"
    written.unlink(missing_ok=True)
    command = (
        *("-m", "benchmarks.engine", "--shapes", "linear", "--works", "none"),
        *("--runs", str(runs), "--output", str(folder)),
    )
    # A bar that is missed is an exit status, not a failure.
    ending = child.run(
        [sys.executable, *command],
        environment=session.variables(session.threads),
        log=session.directory / "contraction.log",
        seconds=session.seconds,
        memory=session.memory,
    )
    if not written.is_file():
        raise SystemExit(f"python {' '.join(command)}: {ending.how}: {ending.said}")
    rows = json.loads(written.read_text(encoding="utf-8"))["rows"]
    return {
        "shapes": [
            {name: row.get(name) for name in ("name", "seconds", "share", "plain_share", "plan")}
            for row in rows
            if row["group"] == "contraction"
        ],
        "bars": [_bar(row) for row in rows if row["group"] == "bar"],
    }


def _bar(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "what": f"{row['name']}, share of sgemm's rate ({row['note']})",
        "asked": "≥ 0.75",
        "found": row["share"],
        "met": row["passed"],
    }
