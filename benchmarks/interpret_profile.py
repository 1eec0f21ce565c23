"""Where a whole ``hessinf interpret`` goes: ``python -m benchmarks.interpret_profile CONFIG``.

From the start of the process to its exit: Python's own start, imports (by room of hessinf and by
package, with what of the standard library each is the first to need), config, data, model, fit,
scores, writing, exit. Every moment counts once, so that the lines add up; medians of some runs.
Memory is the most that the process has held when a line was last left.

Then the fixed costs: the same config cut to N = 32 training examples and Q = 1 query, with the
model that the first run left, and the same question in a Python script, from process start to
exit, in turn with ``python -c "import torch"``. The bar is 1.3 times that, and 0.3 s.

Examples
--------
python -m benchmarks.interpret_profile configs/digits/ekfac.jsonnet
python -m benchmarks.interpret_profile configs/digits/exact.jsonnet --set interpreter.damping=0.1
python -m benchmarks.interpret_profile configs/digits/kfac.jsonnet --part start --runs 11
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import run_ledger
from benchmarks.fresh_process import ProcessCost, environment, run_process
from benchmarks.run_ledger import STARTED_AT

ROOT = Path(__file__).resolve().parent.parent

FACTOR, ADDED = 1.3, 0.3
"""The bar of the fixed costs: so many times ``import torch``, and so many seconds more."""

SCRIPT = """
import torch
from hessinf.interpreters import GradientDot
inputs, targets = torch.randn(33, 64), torch.arange(33) % 10
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
interpreter = GradientDot(model, (inputs[:32], targets[:32]))
next(iter(interpreter.interpret((inputs[32:], targets[32:]))))
"""
"""One question to a network, from Python."""


@dataclass(frozen=True)
class Line:
    """One account, in seconds and bytes."""

    name: str
    clock: float
    processor: float
    peak_bytes: int


class FailedRunError(Exception):
    """A run of hessinf that does not end well."""


def profiled_run(words: Sequence[str], out: Path) -> tuple[list[Line], list[str]]:
    """Run the command line once, with open books.

    Parameters
    ----------
    words
        Arguments of ``hessinf``.
    out
        Where the books may lie.

    Returns
    -------
    list of Line
        In the order in which accounts were opened.
    list of str
        The stages that this version does not have.
    """
    script = str(Path(run_ledger.__file__).resolve())
    started = time.monotonic_ns()
    env = environment(ROOT) | {STARTED_AT: str(started)}
    cost = finished(run_process([sys.executable, "-P", script, str(out), *words], env))
    books = json.loads(out.read_text(encoding="utf-8"))
    before, closed = books["before"], books["closed"]
    return [
        Line("Python's own start", before["clock"], before["processor"], 0),
        *(
            Line(name, one["clock"], one["processor"], one["peak_bytes"])
            for name, one in books["accounts"].items()
        ),
        Line(
            "exit",
            cost.clock - (closed["clock_ns"] - started) / 1e9,
            cost.processor - closed["processor"],
            cost.peak_bytes,
        ),
    ], books["missing"]


def finished(cost: ProcessCost) -> ProcessCost:
    """Refuse a process that failed."""
    if cost.status != 0:
        raise FailedRunError(cost.errors.strip() or f"status {cost.status}")
    return cost


def medians(runs: Iterable[Sequence[Line]]) -> list[Line]:
    """Take the median of each account over runs; one that a run lacks is zero there."""
    by_run = [{line.name: line for line in lines} for lines in runs]
    names = dict.fromkeys(name for lines in by_run for name in lines)
    nothing = Line("", 0.0, 0.0, 0)
    return [
        Line(
            name,
            statistics.median(lines.get(name, nothing).clock for lines in by_run),
            statistics.median(lines.get(name, nothing).processor for lines in by_run),
            max(lines.get(name, nothing).peak_bytes for lines in by_run),
        )
        for name in names
    ]


def table(lines: Sequence[Line]) -> str:
    """Print accounts: stages in their order, then imports, the longest first."""
    total = Line(
        "all",
        sum(line.clock for line in lines),
        sum(line.processor for line in lines),
        max(line.peak_bytes for line in lines),
    )
    imports = [line for line in lines if line.name.startswith("import ")]
    stages = [line for line in lines if line not in imports]
    together = Line(
        "imports, together",
        sum(line.clock for line in imports),
        sum(line.processor for line in imports),
        max((line.peak_bytes for line in imports), default=0),
    )
    stages.insert(1, together)
    small = [line for line in imports if line.processor < 0.0005]
    shown = sorted(
        (line for line in imports if line not in small), key=lambda line: -line.processor
    )
    rows = [f"{'':34} {'clock ms':>9} {'cpu ms':>9} {'share':>7} {'peak MiB':>9}"]
    rows += [_row(line, total.processor) for line in stages]
    rows += [_row(total, total.processor), ""]
    rows += [_row(line, total.processor) for line in shown]
    if small:
        rows.append(f"and {len(small)} packages of less than half a millisecond each")
    return "\n".join(rows)


def _row(line: Line, total: float) -> str:
    peak = f"{line.peak_bytes / 2**20:9.0f}" if line.peak_bytes else f"{'–':>9}"
    return (
        f"{line.name:<34} {1e3 * line.clock:9.1f} {1e3 * line.processor:9.1f} "
        f"{line.processor / total:7.1%} {peak}"
    )


def small_config(resolved: dict[str, Any], archive: Path) -> dict[str, Any]:
    """Cut a run to 32 training examples and a query, without training.

    Parameters
    ----------
    resolved
        The config of a finished run, as its ``config.json`` has it.
    archive
        The model that it left.
    """
    reader = resolved["dataset_reader"]
    queries = resolved.get("test_dataset_reader") or reader
    cut = {key: value for key, value in resolved.items() if key not in ("groups", "scores")}
    return cut | {
        "dataset_reader": {"type": "subset", "reader": reader, "size": 32, "paths": None},
        "test_dataset_reader": {"type": "subset", "reader": queries, "size": 1, "paths": None},
        "model": {"type": "archive", "path": str(archive)},
        "trainer": None,
    }


def fixed_costs(config: Path, folder: Path, runs: int) -> dict[str, tuple[float, float]]:
    """Time the small run, the script and importing torch, in turn.

    Returns
    -------
    dict
        Medians of the seconds by the clock and on the processor.
    """
    target = str(folder / "small-run")
    python = [sys.executable, "-P"]
    commands = {
        "import torch": [*python, "-c", "import torch"],
        "hessinf interpret": [*python, "-m", "hessinf", "interpret", str(config), "-s", target],
        "Python script": [*python, "-c", SCRIPT],
    }
    commands["hessinf interpret"].append("--force")
    taken: dict[str, list[ProcessCost]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            cost = finished(run_process(command, environment(ROOT), ROOT))
            if turn:  # the first turn writes bytecode and fills the disk's cache
                taken[name].append(cost)
    return {
        name: (
            statistics.median(cost.clock for cost in costs),
            statistics.median(cost.processor for cost in costs),
        )
        for name, costs in taken.items()
    }


def fixed_cost_lines(costs: dict[str, tuple[float, float]]) -> list[str]:
    """Judge the fixed costs against the bar, by the processor: others share the clock."""
    clock, processor = costs["import torch"]
    bar = FACTOR * processor + ADDED
    lines = [f"import torch: {processor:.2f} cpu s ({clock:.2f} s by the clock)"]
    for name, (clock, processor) in costs.items():
        if name != "import torch":
            lines.append(
                f"N=32, Q=1, process start to exit, {name}: {processor:.2f} cpu s "
                f"({clock:.2f} s by the clock), bar {bar:.2f}: "
                f"{'pass' if processor <= bar else 'fail'}"
            )
    return lines


def argument_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.interpret_profile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="a config of interpret")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="replace a value of the config, as hessinf interpret takes it (repeatable)",
    )
    parser.add_argument("--runs", type=int, default=5, help="runs of each process")
    parser.add_argument(
        "--part",
        choices=["all", "run", "start"],
        default="all",
        help="the profile of the run, the fixed costs, or both",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Print the profile, and the fixed costs."""
    parser = argument_parser()
    arguments = parser.parse_args(argv)
    if arguments.runs < 1:
        parser.error(f"--runs must be at least 1, found {arguments.runs}")
    settings = [word for setting in arguments.settings for word in ("--set", setting)]
    found: dict[str, Any] = {"config": str(arguments.config), "runs": arguments.runs}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target = folder / "run"
        words = ["interpret", str(arguments.config.resolve()), "-s", str(target), *settings]
        try:
            lines, missing = profiled_run([*words, "--force"], folder / "books.json")
            if arguments.part != "start":
                runs = [
                    profiled_run([*words, "--force"], folder / "books.json")[0]
                    for _ in range(arguments.runs)
                ]
                lines = medians(runs)
                print(f"hessinf interpret {arguments.config}: medians of {arguments.runs} runs")
                print(table(lines))
                if missing:
                    print(f"not met in this run: {', '.join(missing)}")
                found["accounts"] = {line.name: vars(line) for line in lines}
            if arguments.part != "run":
                config = folder / "small.json"
                resolved = json.loads((target / "config.json").read_text(encoding="utf-8"))
                small = small_config(resolved, target / "model")
                config.write_text(json.dumps(small), encoding="utf-8")
                costs = fixed_costs(config, folder, arguments.runs)
                print("\n" + "\n".join(fixed_cost_lines(costs)))
                found["fixed_costs"] = {
                    key: {"clock": clock, "processor": used} for key, (clock, used) in costs.items()
                }
        except FailedRunError as error:
            print(error, file=sys.stderr)
            return 1
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
