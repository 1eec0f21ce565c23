"""From measurements to what is reported: medians, agreement, and whether the bars are met."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.peers import agreement
from benchmarks.peers.rows import Row
from benchmarks.peers.session import Job, Scale, Session, total

STAGES = ("fit", "score")


def jobs(row: Row, scale: Scale, peers: Sequence[str] | None) -> list[tuple[Job, float | None]]:
    """List who does the work of a row, hessinf first, and how far behind it each has to be.

    Parameters
    ----------
    row, scale
        The work.
    peers
        Who is asked for beside hessinf; None for all.
    """
    return [
        (Job(peer, method, row.workload, scale), _bar(row, peer, method))
        for peer, method in row.competitors
        if peers is None or peer in peers or peer == "hessinf"
    ]


def row_result(session: Session, row: Row, scale: Scale, peers: Sequence[str] | None) -> Any:
    """Gather what was measured of a row.

    Parameters
    ----------
    session
        Holds the measurements; a reference that is missing is computed.
    row, scale
        What was measured.
    peers
        Whom it was measured of beside hessinf; None for all.
    """
    asked = jobs(row, scale, peers)
    own = session.scores(asked[0][0])
    names = {*row.same, *([row.reference] if row.reference else [])}
    references = {
        name: session.scores(Job("reference", name, row.workload, scale)) for name in names
    }
    entries = []
    for job, bar in asked:
        entry = {"peer": job.peer, "method": job.method, "bar": bar, **figures(session, job)}
        if entry["how"] == "finished":
            scores = session.scores(job)
            own_reference = job.peer == "hessinf" and job.method in row.same
            entry["agreement"] = {
                "reference": _agreement(
                    scores, references.get(job.method if own_reference else row.reference)
                ),
                "hessinf": None if job.peer == "hessinf" else _agreement(scores, own),
            }
        entries.append(entry)
    result = {
        "name": row.name,
        "title": row.title,
        "workload": session.workload(row.workload, scale),
        "reference": row.reference,
        "entries": entries,
    }
    result["bars"] = bars(row, entries)
    return result


def figures(session: Session, job: Job) -> dict[str, Any]:
    """Summarize the runs of a job, cold and warm."""
    found = summary([session.measure(job, run) for run in range(session.runs)])
    warm = [session.measure_warm(job, run) for run in range(session.runs)]
    finished = [run for run in warm if run is not None and run["how"] == "finished"]
    if finished:
        found["warm_cpu"] = statistics.median(total(run, "cpu") for run in finished)
    return found


def _bar(row: Row, peer: str, method: str) -> float | None:
    for name, bar in row.peers.items():
        if row.competitor(name) == (peer, method):
            return bar
    return None


def _agreement(scores: np.ndarray | None, other: np.ndarray | None) -> dict[str, float] | None:
    if scores is None or other is None:
        return None
    return {
        "pearson": agreement.pearson(scores, other),
        "spearman": agreement.mean_spearman(scores, other),
        "relative_error": agreement.relative_error(scores, other),
    }


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Take medians over the runs; of an unfinished one, what it had used so far."""
    first = runs[0]
    if first["how"] != "finished":
        return {name: first.get(name) for name in ("how", "said", "cpu", "wall")}
    finished = [run for run in runs if run["how"] == "finished"]

    def median(stage: str, clock: str) -> float:
        return statistics.median(run["stages"].get(stage, {}).get(clock, 0.0) for run in finished)

    cpu = [total(run, "cpu") for run in finished]
    return {
        "how": "finished",
        "runs": len(finished),
        "fit": {"cpu": median("fit", "cpu"), "wall": median("fit", "wall")},
        "score": {"cpu": median("score", "cpu"), "wall": median("score", "wall")},
        "cpu": statistics.median(cpu),
        "cpu_range": [min(cpu), max(cpu)],
        "wall": statistics.median(total(run, "wall") for run in finished),
        "kernel_cpu": statistics.median(run["kernel"]["cpu"] for run in finished),
        "times_kernel": statistics.median(
            taken / run["kernel"]["cpu"] for taken, run in zip(cpu, finished, strict=True)
        ),
        "peak_bytes": statistics.median(run["peak_bytes"] for run in finished),
        "threads": first["threads"],
        "versions": first["versions"],
    }


def bars(row: Row, entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare hessinf with everything that is asked of it in a row.

    Each bar has ``what``, ``asked``, ``found``, and ``met``: True, False, or None where it cannot
    be said. A peer that went beyond a limit counts with what it had used until then, which is a
    lower bound.
    """
    own = next(entry for entry in entries if entry["peer"] == "hessinf")
    others = [entry for entry in entries if entry["peer"] != "hessinf"]
    found = []
    if own["how"] != "finished":
        return [{"what": "hessinf", "asked": "finished", "found": own["how"], "met": False}]
    for entry in others:
        ahead = times_ahead(entry, own)
        entry["ahead"] = ahead
        if "warm_cpu" in entry and "warm_cpu" in own:
            entry["warm_ahead"] = entry["warm_cpu"] / own["warm_cpu"]
        if entry["bar"] is not None:
            found.append(
                {
                    "what": f"processor seconds of {entry['peer']} over hessinf's",
                    "asked": f"≥ {entry['bar']:g}",
                    "found": ahead,
                    "met": None if ahead is None else _reaches(ahead, entry),
                }
            )
    if row.kernel_limit is not None:
        found.append(
            _at_most("processor seconds over the kernel's", row.kernel_limit, own["times_kernel"])
        )
    found += _memory_bars(row, own, others)
    for entry in entries:
        measured = (entry.get("agreement") or {}).get("reference")
        if entry["peer"] == "hessinf" and entry["method"] in row.same and measured:
            found.append(
                _at_most(
                    f"relative error of {entry['method']}",
                    row.error_limit,
                    measured["relative_error"],
                )
            )
    return found


def times_ahead(entry: dict[str, Any], own: dict[str, Any]) -> float | None:
    """Say how many times hessinf's processor seconds another took, at least."""
    if entry["how"] == "finished" or entry["how"].startswith("over"):
        return float(entry["cpu"] / own["cpu"])
    return None


def _reaches(ahead: float, entry: dict[str, Any]) -> bool | None:
    """Compare with the bar; a lower bound that falls short says nothing."""
    if ahead >= entry["bar"]:
        return True
    return False if entry["how"] == "finished" else None


def _at_most(what: str, asked: float, found: float) -> dict[str, Any]:
    return {"what": what, "asked": f"≤ {asked:g}", "found": found, "met": found <= asked}


def _memory_bars(
    row: Row, own: dict[str, Any], others: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Compare the largest resident memory with the limit, or with the leanest peer."""
    limit, what = row.memory_limit, "peak memory, MB"
    if limit is None:
        finished = [entry for entry in others if entry["how"] == "finished"]
        if not finished:
            return []
        leanest = min(finished, key=lambda entry: entry["peak_bytes"])
        limit, what = leanest["peak_bytes"], f"{what}, beside {leanest['peer']}'s"
    return [_at_most(what, round(limit / 1e6), round(own["peak_bytes"] / 1e6))]
