"""How long a whole process takes that has nothing to compute, beside one that imports torch."""

from __future__ import annotations

import statistics
import sys
from typing import Any

from benchmarks.peers import child
from benchmarks.peers.session import Session, say

TORCH = 'python -c "import torch"'
METHODS = ("ekfac", "gradient-dot")
FACTOR, SECONDS = 1.3, 0.3
"""The first method may take this many times as long as importing torch, and so much more."""

COMMANDS = {
    TORCH: ("-c", "import torch"),
    **{
        f"python -m benchmarks.peers.single_call {method}": (
            *("-m", "benchmarks.peers.single_call", method),
        )
        for method in METHODS
    },
}


def measure(session: Session, runs: int) -> dict[str, Any]:
    """Run every command in turn, once more than asked for: the first time fills caches."""
    taken: dict[str, list[child.Ending]] = {name: [] for name in COMMANDS}
    for run in range(runs + 1):
        say(f"starting: run {run + 1} of {runs + 1}")
        for name, arguments in COMMANDS.items():
            ending = session.run(sys.executable, *arguments, log=session.directory / "start-up.log")
            if run > 0:
                taken[name].append(ending)
    medians = {
        name: {
            "cpu": statistics.median(ending.cpu for ending in endings),
            "wall": statistics.median(ending.wall for ending in endings),
        }
        for name, endings in taken.items()
    }
    return {"commands": medians, "bar": bar(medians)}


def bar(medians: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Compare the call of the first method with importing torch."""
    own = medians[f"python -m benchmarks.peers.single_call {METHODS[0]}"]["cpu"]
    allowed = FACTOR * medians[TORCH]["cpu"] + SECONDS
    return {
        "what": f"processor seconds of a call of {METHODS[0]}",
        "asked": f"≤ {FACTOR:g} × importing torch + {SECONDS:g} s = {allowed:.3g}",
        "found": own,
        "met": own <= allowed,
    }
