"""How long hessinf takes to start: ``python -m benchmarks.startup``.

Each command is run as a whole process, several times in turn with a bare interpreter, whose time is
what nothing can go below. Processor seconds say more than the clock on a shared machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import hessinf.registry": [sys.executable, "-c", "import hessinf.registry"],
    "hessinf --help": [sys.executable, "-m", "hessinf", "--help"],
    "hessinf list": [sys.executable, "-m", "hessinf", "list"],
    "hessinf validate CONFIG": [
        sys.executable,
        "-m",
        "hessinf",
        "validate",
        "configs/digits/exact.jsonnet",
    ],
    "import torch": [sys.executable, "-c", "import torch"],
}


def measure(command: list[str]) -> tuple[float, float]:
    """Run a command once; return its seconds by the clock and on the processor."""
    # Bytecode is written once and then read, as for an installed package.
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    before = os.times()
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    clock = time.perf_counter() - started
    after = os.times()
    used = (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )
    return clock, used


def main() -> None:
    """Print the median of each command's times, in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=11, help="runs of each command")
    runs = parser.parse_args().runs
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():
        measure(command)
    for _ in range(runs):
        for name, command in COMMANDS.items():
            times[name].append(measure(command))
    print(f"{'command':<26} {'clock ms':>9} {'cpu ms':>9}   medians of {runs} runs in turn")
    for name, measured in times.items():
        clock = 1e3 * statistics.median(item[0] for item in measured)
        used = 1e3 * statistics.median(item[1] for item in measured)
        print(f"{name:<26} {clock:>9.0f} {used:>9.0f}")


if __name__ == "__main__":
    main()
