"""hessinf beside the other packages: ``python -m benchmarks.peers --help``."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.commit_name import commit
from benchmarks.peers import contraction, environments, report, results, start_up
from benchmarks.peers.rows import ROWS, Row
from benchmarks.peers.session import LOCAL, Scale, Session, say

ROOT = environments.ROOT

DESCRIPTION = """\
Gives hessinf and other packages for influence functions the same work, and says who took how long,
with how much memory, and how far their scores agree.

Every measurement is a process of its own, one at a time, with a fixed number of threads. A package
runs in its own environment, made with pip at the first call (some hundred megabytes each, and
minutes); the work is made once. Finished measurements are kept and used again while the package,
its adapter, the work and hessinf's sources are the same, so that an interrupted call goes on where
it was: give --again to measure anew. Rows that a call does not name keep their place in the output.
"""

EXAMPLES = """\
examples:
  python -m benchmarks.peers --list
      the rows, with what is asked of each
  python -m benchmarks.peers --rows ekfac-small-mlp --peers hessinf kronfluence --runs 1
      one row, hessinf beside one package, once
  python -m benchmarks.peers --readme
      everything, three times; hours on two cores. The table goes into benchmarks/README.md as well
  python -m benchmarks.peers --rows ekfac-wide-mlp --scale-train 1 2 4 --scale-queries 1 4
      how time and memory grow with the training examples and the queries
"""

DEFAULT_ENVIRONMENTS = ROOT / "build" / "peers"
DEFAULT_OUTPUT = ROOT / "benchmarks" / "results" / "peers.json"
README = ROOT / "benchmarks" / "README.md"
START_UP = "start-up"
CONTRACTION = "contraction"

BUSY = 0.25
"""A machine is called busy when so many processes for each core want it already."""


def parser() -> argparse.ArgumentParser:
    """Say what can be asked for."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        *("--rows", "-r"),
        nargs="+",
        metavar="ROW",
        choices=[*(row.name for row in ROWS), CONTRACTION, START_UP],
        help="what to measure, see --list; all rows unless given",
    )
    made.add_argument(
        *("--peers", "-p"),
        nargs="+",
        metavar="PEER",
        choices=[*LOCAL[:2], *environments.RECIPES],
        help=f"whom to measure beside hessinf: {', '.join(['allennlp', *environments.RECIPES])}; "
        "all unless given",
    )
    made.add_argument("--runs", type=_at_least_one, default=3, help="how often; 3 unless given")
    made.add_argument(
        "--threads", type=_at_least_one, default=1, help="threads of each process; 1 unless given"
    )
    made.add_argument(
        "--scale-train",
        type=float,
        nargs="+",
        default=[1.0],
        metavar="FACTOR",
        help="how many times the training examples are taken; several make the table of growth",
    )
    made.add_argument(
        "--scale-queries",
        type=float,
        nargs="+",
        default=[1.0],
        metavar="FACTOR",
        help="the same for the queries",
    )
    made.add_argument(
        "--limit",
        type=float,
        default=600,
        metavar="SECONDS",
        help="wall seconds after which a process is ended and reported so; 600 unless given",
    )
    made.add_argument(
        "--memory-limit",
        type=float,
        default=12,
        metavar="GIB",
        help="resident memory beyond which a process is ended and reported so; 12 unless given",
    )
    made.add_argument(
        "--environments",
        type=Path,
        default=DEFAULT_ENVIRONMENTS,
        metavar="DIR",
        help="where environments, workloads and measurements are kept; build/peers unless given",
    )
    made.add_argument(
        "--output",
        type=Path,
        default=DEFAULT_OUTPUT,
        metavar="FILE",
        help="the results as JSON; benchmarks/results/peers.json unless given",
    )
    made.add_argument("--again", action="store_true", help="measure what is kept already, too")
    made.add_argument(
        "--readme", action="store_true", help="write the table into benchmarks/README.md, too"
    )
    made.add_argument("--list", action="store_true", help="say which rows there are, and stop")
    return made


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"has to be 1 or more, found {number}")
    return number


def listing() -> str:
    """Describe the rows."""
    lines = []
    for row in ROWS:
        peers = ", ".join(
            name if bar is None else f"{name} (≥ {bar:g}×)" for name, bar in row.peers.items()
        )
        lines.append(f"{row.name}\n    {row.title}; beside {peers or 'nobody'}")
    lines.append(f"{CONTRACTION}\n    scores of single layers, beside the machine's matrix product")
    lines.append(f"{START_UP}\n    one call with nothing to compute, beside importing torch")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Say what it is measured on."""
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "python": f"Python {platform.python_version()}",
        "system": platform.platform(),
        "load": list(os.getloadavg()),
    }


def measure_rows(
    session: Session, rows: Sequence[Row], scales: Sequence[Scale], peers: Sequence[str] | None
) -> None:
    """Measure everybody once, then a second time: what the machine does meanwhile hits all."""
    for run in range(session.runs):
        for scale in scales:
            for row in rows:
                for job, _ in results.jobs(row, scale, peers):
                    session.measure(job, run)
                    session.measure_warm(job, run)


def growth(
    session: Session, rows: Sequence[Row], scales: Sequence[Scale], peers: Sequence[str] | None
) -> list[dict[str, Any]]:
    """Gather seconds and memory of every row at every scale."""
    entries = []
    for row in rows:
        for place in range(len(results.jobs(row, scales[0], peers))):
            for scale in scales:
                job, _ = results.jobs(row, scale, peers)[place]
                work = session.workload(row.workload, scale)
                entries.append(
                    {
                        "row": row.name,
                        "peer": job.peer,
                        "method": job.method,
                        "train": work["train"],
                        "queries": work["queries"],
                        **results.figures(session, job),
                    }
                )
    return entries


def known(path: Path) -> dict[str, Any]:
    """Read the results of earlier calls."""
    if not path.is_file():
        return {}
    return json.loads(path.read_text(encoding="utf-8"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and report."""
    given = parser().parse_args(arguments)
    if given.list:
        print(listing())
        return 0
    named = given.rows or [*(row.name for row in ROWS), CONTRACTION, START_UP]
    rows = [row for row in ROWS if row.name in named]
    scales = [Scale(n, q) for n in given.scale_train for q in given.scale_queries]
    session = Session(
        directory=given.environments.resolve(),
        runs=given.runs,
        threads=given.threads,
        seconds=given.limit,
        memory=int(given.memory_limit * 2**30),
        again=given.again,
    )
    earlier = known(given.output)
    date = datetime.date.today().isoformat()
    found: dict[str, Any] = {
        **earlier,
        "machine": machine(),
        "rows": dict(earlier.get("rows", {})),
    }
    measured_as = {
        "date": date,
        "commit": commit(),
        "threads": session.threads,
        "runs": session.runs,
    }
    busy, cores = os.getloadavg()[0], found["machine"]["cores"]
    if busy > BUSY * cores:
        say(
            f"this machine is busy: {busy:.1f} processes want its {cores} cores; processor seconds "
            "are longer than on an idle one, and wall seconds say nothing"
        )
    with session.alone():
        measure_rows(session, rows, scales, given.peers)
        if Scale() in scales:
            for row in rows:
                one = results.row_result(session, row, Scale(), given.peers)
                found["rows"][row.name] = {**one, **measured_as}
        if scales != [Scale()]:
            entries = growth(session, rows, scales, given.peers)
            found["growth"] = {**measured_as, "entries": entries}
        if CONTRACTION in named:
            found["contraction"] = {
                **contraction.measure(session, session.runs),
                **measured_as,
            }
        if START_UP in named:
            found["start_up"] = {**start_up.measure(session, session.runs), **measured_as}
    if session.hessinf_changed():
        say("hessinf's sources have changed while they were measured: measure again")
    order = [row.name for row in ROWS]
    found["rows"] = dict(sorted(found["rows"].items(), key=lambda item: order.index(item[0])))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    table = report.markdown(found)
    if given.readme:
        report.update(README, table)
    print(table)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("interrupted; finished measurements are kept")
        sys.exit(130)
