"""Whether hessinf became slower: ``python -m benchmarks.guard [--base HEAD~1] [--runs 5]``.

Two commits are checked out side by side, and five main paths are run in each, in fresh processes,
first the base, then the head, again and again, so that what else the machine does falls on both.
Processor seconds are divided by those of a matrix product (17.2 GFLOP of sgemm) in the same
process. Every run of the head is compared with every run of the base: the ratio is the median of
these quotients, its spread their quartiles. A path is slower when even the lower quartile is above
the tolerance: then the exit status is 1. A median above it with a quartile below is said to be
unclear; more runs make it clearer. Peak memory and scores are compared too, and only shown.

Run it before landing work on speed. It is no test: it takes minutes.

Examples
--------
python -m benchmarks.guard                              the last commit and its parent
python -m benchmarks.guard --head "working tree" --base HEAD
python -m benchmarks.guard --paths ekfac interpret --runs 9 --tolerance 1.05
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks import guard_paths
from benchmarks.fresh_process import ProcessCost, environment, run_process
from benchmarks.guard_paths import KERNEL, PATHS
from benchmarks.worktrees import (
    WORKING_TREE,
    NoSuchCommitError,
    commit_of,
    git,
    is_changed,
    source_trees,
)

ROOT = Path(__file__).resolve().parent.parent

INTERRUPTED = 130

Verdict = Literal["ok", "faster", "slower", "unclear", "fails", "not in the base"]


class PathFailedError(Exception):
    """A path that does not run in a tree; its text says why."""


@dataclass(frozen=True)
class Run:
    """What one run of a path took.

    Parameters
    ----------
    kernels
        Processor seconds, in units of the matrix product.
    seconds
        The same in seconds.
    peak_bytes
        The most memory that was held at once.
    """

    kernels: float
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Ratio:
    """How many times as long the head takes.

    Parameters
    ----------
    median
        Of the quotients of all pairs of runs.
    lower, upper
        Their quartiles.
    """

    median: float
    lower: float
    upper: float

    @classmethod
    def between(cls, base: Sequence[Run], head: Sequence[Run]) -> Ratio:
        """Compare each run of the head with each run of the base."""
        quotients = [after.kernels / before.kernels for after in head for before in base]
        if len(quotients) == 1:
            return cls(quotients[0], quotients[0], quotients[0])
        lower, median, upper = statistics.quantiles(quotients, n=4, method="inclusive")
        return cls(median, lower, upper)

    def verdict(self, tolerance: float) -> Verdict:
        """Judge: slower only where the noise does not explain it."""
        if self.lower > tolerance:
            return "slower"
        if self.median > tolerance:
            return "unclear"
        return "faster" if self.upper < 1 / tolerance else "ok"


@dataclass
class Watched:
    """A path, and what its runs in both trees took.

    Parameters
    ----------
    name
        Of the path.
    """

    name: str

    def __post_init__(self) -> None:
        self.runs: dict[str, list[Run]] = {"base": [], "head": []}
        self.failures: dict[str, str] = {}
        self.difference: str = ""

    def verdict(self, tolerance: float) -> Verdict:
        """Judge the path."""
        if "head" in self.failures:
            return "fails"
        if "base" in self.failures:
            return "not in the base"
        return self.ratio.verdict(tolerance)

    @property
    def ratio(self) -> Ratio:
        """How the runs compare."""
        return Ratio.between(self.runs["base"], self.runs["head"])

    def line(self, tolerance: float) -> str:
        """Say it in one line of the table."""
        verdict = self.verdict(tolerance)
        cells = [f"{self.name:<14}"]
        for side in ("base", "head"):
            runs = self.runs[side]
            median = (
                f"{statistics.median(run.kernels for run in runs):9.2f}" if runs else f"{'–':>9}"
            )
            peak = f"{max(run.peak_bytes for run in runs) / 2**20:6.0f}" if runs else f"{'–':>6}"
            cells.append(f"{median} {peak}")
        if self.failures:
            cells.append(f"{'–':>22}")
        else:
            ratio = self.ratio
            cells.append(f"{ratio.median:6.3f} [{ratio.lower:5.3f}, {ratio.upper:5.3f}]")
        return "  ".join([*cells, f"{self.difference:>9}", verdict])

    def to_json(self, tolerance: float) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "path": self.name,
            "says": PATHS[self.name].says,
            "verdict": self.verdict(tolerance),
            "ratio": None if self.failures else vars(self.ratio),
            "score_difference": self.difference or None,
            "failures": self.failures,
            "runs": {side: [vars(run) for run in runs] for side, runs in self.runs.items()},
        }


HEADER = f"""\
{"":14}  {"base":>9} {"":>6}  {"head":>9} {"":>6}  {"ratio, and quartiles":>22}  {"scores":>9}
{"path":14}  {"kernels":>9} {"MiB":>6}  {"kernels":>9} {"MiB":>6}  {"of all pairs of runs":>22}  \
{"differ":>9}  verdict"""


def run_path(tree: Path, name: str, out: Path, scale: str = "full") -> Run:
    """Run a path once, with the hessinf of a tree.

    Parameters
    ----------
    tree
        The source tree.
    name
        Of the path.
    out
        Where its scores go, without the ending.
    scale
        "full", or "tiny" for trying the guard itself.

    Raises
    ------
    PathFailedError
        When it does not run there.
    """
    config = PATHS[name].config
    if config is None:
        found = _child(tree, name, out, scale)
        seconds, peak = found["seconds"], found["peak_bytes"]
    else:
        found = _child(tree, KERNEL, out, scale)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "config.json"
            file.write_text(json.dumps(config), encoding="utf-8")
            command = ["interpret", str(file), "-s", str(Path(folder) / "run")]
            cost = _finished(
                run_process(
                    [sys.executable, "-P", "-m", "hessinf", *command], environment(tree), tree
                )
            )
        seconds, peak = cost.processor, cost.peak_bytes
    return Run(seconds / found["kernel_seconds"], seconds, peak)


def _child(tree: Path, name: str, out: Path, scale: str) -> dict[str, Any]:
    """Run ``guard_paths.py``, this tree's own, on the modules of another."""
    script = str(Path(guard_paths.__file__).resolve())
    command = [sys.executable, "-P", script, name, str(out), "--scale", scale]
    _finished(run_process(command, environment(tree), tree))
    found: dict[str, Any] = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    used = Path(found["hessinf"])
    if not used.is_relative_to(tree.resolve()):
        raise SystemExit(f"measured {used}, which is not in {tree}: is hessinf imported by a .pth?")
    return found


def _finished(cost: ProcessCost) -> ProcessCost:
    if cost.status != 0:
        raise PathFailedError(cost.last_line)
    return cost


def watch(
    trees: dict[str, Path],
    names: Sequence[str],
    runs: int,
    say: Callable[[str], None],
    run: Callable[[Path, str, Path], Run],
) -> list[Watched]:
    """Run all paths in both trees, in turn.

    Parameters
    ----------
    trees
        Of "base" and "head".
    names
        Of the paths.
    runs
        How often each, in each tree.
    say
        Told how far it is.
    run
        Runs a path once.
    """
    watched = [Watched(name) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        outs = {side: {one: Path(folder) / f"{one}-{side}" for one in names} for side in trees}
        for turn in range(runs):
            for one in watched:
                for side, tree in trees.items():
                    if one.failures:
                        continue
                    say(f"run {turn + 1} of {runs}: {one.name}, {side}")
                    try:
                        one.runs[side].append(run(tree, one.name, outs[side][one.name]))
                    except PathFailedError as error:
                        one.failures[side] = str(error)
        for one in watched:
            one.difference = difference(outs["base"][one.name], outs["head"][one.name])
    return watched


def difference(base: Path, head: Path) -> str:
    """Compare two files of scores: the norm of the difference, to that of the base's scores."""
    files = [out.with_suffix(".npy") for out in (base, head)]
    if not all(file.exists() for file in files):
        return ""
    import numpy as np  # here: whoever starts processes stays small

    first, second = (np.load(file).astype(np.float64) for file in files)
    if first.shape != second.shape:
        return "shape"
    return f"{np.linalg.norm(second - first) / np.linalg.norm(first):.1e}"


def argument_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.guard",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="paths:\n" + "\n".join(f"  {name:<14} {one.says}" for name, one in PATHS.items()),
    )
    parser.add_argument("--base", default="HEAD~1", help="the commit to compare with")
    parser.add_argument(
        "--head", default="HEAD", help=f'the commit to judge, or "{WORKING_TREE}" for what is there'
    )
    parser.add_argument("--runs", type=int, default=5, help="runs of each path in each tree")
    parser.add_argument(
        "--tolerance", type=float, default=1.15, help="the ratio above which a path is slower"
    )
    parser.add_argument(
        "--paths", nargs="+", choices=list(PATHS), default=list(PATHS), help="watch only these"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    parser.add_argument("--repository", type=Path, default=ROOT, help=argparse.SUPPRESS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Compare two commits; return the exit status."""
    parser = argument_parser()
    arguments = parser.parse_args(argv)
    if arguments.runs < 1:
        parser.error(f"--runs must be at least 1, found {arguments.runs}")
    if not arguments.tolerance >= 1:
        parser.error(f"--tolerance must be at least 1, found {arguments.tolerance}")
    try:
        return compare(arguments)
    except NoSuchCommitError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("\ninterrupted; the temporary source trees are removed", file=sys.stderr)
        return INTERRUPTED


def compare(arguments: argparse.Namespace) -> int:
    """Check both commits out, run, print, judge."""
    repository = arguments.repository
    names = {"base": arguments.base, "head": arguments.head}
    said = {key: _said(repository, name) for key, name in names.items()}
    if arguments.head != WORKING_TREE and is_changed(repository):
        print(f'what is not committed is left out; --head "{WORKING_TREE}" takes it in')
    for key, text in said.items():
        print(f"{key}: {text}")
    with source_trees(repository, names) as trees:
        for tree in trees.values():
            # Bytecode is written once and then read, as for an installed package.
            run_process(
                [sys.executable, "-m", "compileall", "-q", "hessinf"], environment(tree), tree
            )
        watched = watch(trees, arguments.paths, arguments.runs, _say, run_path)
    print(f"\n{HEADER}")
    for one in watched:
        print(one.line(arguments.tolerance))
    for one in watched:
        for side, text in one.failures.items():
            print(f"{one.name} does not run in the {side}: {text}")
    bad = [one.name for one in watched if one.verdict(arguments.tolerance) in ("slower", "fails")]
    if arguments.json is not None:
        content = {
            "commits": said,
            "tolerance": arguments.tolerance,
            "paths": [one.to_json(arguments.tolerance) for one in watched],
        }
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if bad:
        print(f"slower than {arguments.tolerance} times the base, or failing: {', '.join(bad)}")
        return 1
    return 0


def _said(repository: Path, name: str) -> str:
    if name == WORKING_TREE:
        return f"{WORKING_TREE}, on {git(repository, 'log', '-1', '--format=%h %s')}"
    return git(repository, "log", "-1", "--format=%h %s", commit_of(repository, name))


def _say(text: str) -> None:
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{text:<60}", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
