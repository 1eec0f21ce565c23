"""How near the engine is to what the machine can do: ``python -m benchmarks.engine``.

Flops, bytes, processor seconds and the share of the measured rate of a matrix product: for the
scores of single layers, shape by shape, with the strategy that the engine's plan chose and what it
predicted; and for each stage of fitting and scoring, method by method, on the workloads of
``benchmarks.peers``. Everything is measured on one thread in one process, beside sgemm and dgemm.
The exit status is 1 where a bar is missed.

Results go to benchmarks/results/engine.json and engine.md, and as a line to engine_history.jsonl,
from which ``--compare`` tells what changed since an earlier commit.

Examples
--------
python -m benchmarks.engine                                  shapes, and what takes seconds
python -m benchmarks.engine --works none --shapes linear     shapes of linear layers alone
python -m benchmarks.engine --shapes none --works transformer/ekfac wide-mlp/ggn
python -m benchmarks.engine --compare                        the last run with the one before
python -m benchmarks.engine --compare 4d8f20c                the last run with that commit's
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HESSINF_PROGRESS"] = "0"

import argparse
import datetime
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import engine_history as history
from benchmarks.engine_report import markdown
from benchmarks.engine_rows import Row
from benchmarks.worktrees import git, is_changed

if TYPE_CHECKING:
    from benchmarks.matmul_rate import Yardstick

ROOT = Path(__file__).resolve().parent.parent

WORKS = (
    "small-mlp/gradient-dot",
    "small-mlp/ekfac",
    "small-mlp/lissa",
    "small-mlp/ggn",
    "wide-mlp/gradient-dot",
    "wide-mlp/kfac",
    "wide-mlp/ekfac",
    "cnn/gradient-dot",
    "cnn/ekfac",
)
"""What is measured unless something else is asked for; the others take minutes."""

LAYERS = ("linear", "convolution", "embedding")


def machine() -> str:
    """Say what computes."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        named = []
    return f"{named[0] if named else platform.processor() or 'unknown processor'}, {os.name}"


def facts_of(repository: Path, stick: Yardstick, threads: int) -> dict[str, Any]:
    """Say what was measured, when and on what."""
    import torch

    return {
        "commit": git(repository, "rev-parse", "HEAD"),
        "changed": is_changed(repository),
        "date": datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "threads": threads,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "rates": {"sgemm, PyTorch's own choice": stick.plain_rate, **stick.rates},
    }


def measure(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[Row]]:
    """Measure what the arguments ask for."""
    import torch

    from benchmarks import engine_shapes, engine_workloads
    from benchmarks.matmul_rate import yardstick
    from benchmarks.peers.adapters.hessinf import METHODS
    from benchmarks.peers.workloads import TASKS

    torch.set_num_threads(1)
    stick = yardstick()
    rows: list[Row] = []
    if arguments.shapes != ["none"]:
        wanted = LAYERS if arguments.shapes == ["all"] else arguments.shapes
        chosen = [case for case in engine_shapes.cases(arguments.scale) if case.layer in wanted]
        measured = []
        for case in chosen:
            _say(case.name)
            # The machine's rate changes with what else it does: beside each case, anew.
            measured.append(engine_shapes.measure(case, yardstick(), arguments.runs))
        rows += measured
        if any(case.large for case in chosen):
            rows.append(engine_shapes.bar(measured, chosen))
    if arguments.works != ["none"]:
        for work in arguments.works:
            name, _, method = work.partition("/")
            if name not in TASKS or method not in METHODS:
                raise SystemExit(
                    f'"{work}" is not WORKLOAD/METHOD; workloads: {", ".join(TASKS)}; '
                    f"methods: {', '.join(METHODS)}"
                )
            workload = engine_workloads.prepared(name, arguments.workloads)
            _say(work)
            rows += engine_workloads.measure(workload, method, yardstick(), arguments.runs)
    return facts_of(ROOT, stick, torch.get_num_threads()), rows


def argument_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--shapes",
        nargs="+",
        default=["all"],
        choices=["all", "none", *LAYERS],
        help="the layers whose scores are looked at (default: all)",
    )
    parser.add_argument(
        "--works",
        nargs="+",
        default=list(WORKS),
        metavar="WORKLOAD/METHOD",
        help=f"what is run, or none (default: {' '.join(WORKS)})",
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each; the median counts")
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "benchmarks" / "results",
        metavar="DIR",
        help="where engine.json, engine.md and engine_history.jsonl are",
    )
    parser.add_argument(
        "--workloads",
        type=Path,
        default=ROOT / "build" / "peers" / "workloads",
        metavar="DIR",
        help="where workloads are prepared, once",
    )
    parser.add_argument(
        "--compare",
        nargs="?",
        const="",
        metavar="COMMIT",
        help="measure nothing: compare the last run with a commit's, or with the one before",
    )
    parser.add_argument("--scale", type=int, default=1, help=argparse.SUPPRESS)
    return parser


def compare(file: Path, commit: str) -> str:
    """Compare the last line of the history with an earlier one.

    Raises
    ------
    NoHistoryError
        When there is none.
    """
    lines = history.read(file)
    if len(lines) < 2 and not commit:
        raise history.NoHistoryError(f"{file} has {len(lines)} runs; comparing takes two")
    before = history.find(lines[:-1], commit) if commit else lines[-2]
    return history.comparison(before, lines[-1])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write, or compare; return the exit status: 1 where a bar is missed."""
    parser = argument_parser()
    arguments = parser.parse_args(argv)
    if arguments.runs < 1:
        parser.error(f"--runs must be at least 1, found {arguments.runs}")
    file = arguments.output / "engine_history.jsonl"
    if arguments.compare is not None:
        try:
            print(compare(file, arguments.compare))
        except history.NoHistoryError as error:
            parser.error(str(error))
        return 0
    facts, rows = measure(arguments)
    report = markdown(facts, rows)
    arguments.output.mkdir(parents=True, exist_ok=True)
    content = facts | {"rows": [row.to_json() for row in rows]}
    (arguments.output / "engine.json").write_text(
        json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (arguments.output / "engine.md").write_text(report, encoding="utf-8")
    history.append(file, history.entry(facts, rows))
    print(report)
    return 1 if any(row.passed is False for row in rows) else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
