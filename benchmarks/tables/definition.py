"""What a table is made of: read from ``tN.jsonnet``, a function of whether it is only tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hessinf.registry.jsonnet import JsonnetOptions, evaluate_file

FOLDER = Path(__file__).resolve().parent

NAMES = tuple(sorted(path.stem for path in FOLDER.glob("t[0-9]*.jsonnet")))
"""The tables that there are."""


@dataclass(frozen=True)
class Run:
    """One run that a table is made of.

    Parameters
    ----------
    command
        "evaluate", "analyze" or "closed-forms".
    config
        As that command takes it.
    rivals
        Methods of other packages that are judged too, by the names of their rows: {"peer",
        "method"}.
    damping
        Theirs.
    """

    command: str
    config: dict[str, Any]
    rivals: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    damping: float = 0.0


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    name
        Such as "t3".
    title, about
        What stands above it.
    estimate
        How long it takes on one core, roughly.
    report
        How its runs become Markdown.
    runs
        By name, in order.
    steps
        Pairs of rows whose difference is shown, for reports that do.
    """

    name: str
    title: str
    about: str
    estimate: str
    report: str
    runs: Mapping[str, Run]
    steps: Sequence[tuple[str, str]] = field(default=())


def load(name: str, *, small: bool = False) -> Table:
    """Read the definition of a table.

    Parameters
    ----------
    name
        One of :data:`NAMES`.
    small
        Whether it is to be tried in seconds; its numbers then say nothing.
    """
    options = JsonnetOptions(tla_code={"small": "true" if small else "false"})
    found: Any = evaluate_file(FOLDER / f"{name}.jsonnet", options).value
    runs = {run.pop("name"): Run(**run) for run in found.pop("runs")}
    steps = tuple((first, second) for first, second in found.pop("steps", ()))
    return Table(name=name, runs=runs, steps=steps, **found)
