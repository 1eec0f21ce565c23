"""The tables of ``benchmarks.engine``, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.engine_rows import Row


def markdown(facts: dict[str, Any], rows: Sequence[Row]) -> str:
    """Write the whole report.

    Parameters
    ----------
    facts
        Commit, date, machine, versions, rates.
    rows
        What was found.
    """
    rates = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in facts["rates"].items())
    changed = " with changes" if facts["changed"] else ""
    parts = [
        "# The engine beside the machine's matrix product",
        "",
        f"Commit {facts['commit'][:9]}{changed}, {facts['date']}; {facts['machine']}; "
        f"Python {facts['versions']['python']}, torch {facts['versions']['torch']}, "
        f"{facts['threads']} thread{'s' if facts['threads'] > 1 else ''}.",
        "",
        f"Matrix products, in GFLOP for each processor second: {rates}. Seconds are the "
        "processor's; kernels are units of the 17.2-GFLOP sgemm by PyTorch's own choice of "
        "library; share is what the counted flops would take at the fastest rate of a matrix "
        "product of their precision, of the seconds. Bytes are those of operands and results, "
        "caches left out of account.",
    ]
    bars = [row for row in rows if row.group == "bar"]
    if bars:
        parts += ["", "## Bars", "", "| what | share | of PyTorch's own sgemm | | |"]
        parts += ["|---|---:|---:|---|---|"]
        parts += [
            f"| {row.name} | {_share(row.share)} | {_share(row.plain_share)} "
            f"| {'pass' if row.passed else 'FAIL'} | {row.note} |"
            for row in bars
        ]
    contractions = [row for row in rows if row.group == "contraction"]
    if contractions:
        parts += [
            "",
            "## Scores of single layers",
            "",
            "Dense bound: what 2·Q·N·P flops take at sgemm's rate, by the seconds; above 1, the "
            "engine is faster than any product of gradients that lie ready as tensors.",
            "",
            "| layer | plan | cpu s | kernels | GFLOP | planned | GB | share | dense bound "
            "| error |",
            "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        ]
        parts += [_contraction(row, facts["rates"]["float32"]) for row in contractions]
    for work in [row for row in rows if row.group == "work"]:
        inside = [row for row in rows if row.name.startswith(f"{work.name}: ")]
        parts += ["", f"## {work.name}", ""]
        parts += ["| | cpu s | kernels | GFLOP | GB | share |", "|---|---:|---:|---:|---:|---:|"]
        parts.append(_line(work, "**all, plainly run**"))
        parts += [
            _line(row, row.name.removeprefix(f"{work.name}: "))
            for row in inside
            if row.group == "stage" and row.seconds >= 0.005 * work.seconds
        ]
        parts += ["", "| longest operations | cpu s | kernels | GFLOP | GB | share |"]
        parts += ["|---|---:|---:|---:|---:|---:|"]
        parts += [
            _line(row, f"`{row.name.removeprefix(f'{work.name}: ')}` {row.note}")
            for row in inside
            if row.group == "operation"
        ]
    return "\n".join(parts) + "\n"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _line(row: Row, name: str) -> str:
    flops = f"{row.flops / 1e9:.2f}" if row.flops else "–"
    moved = f"{row.bytes / 1e9:.2f}" if row.bytes else "–"
    return (
        f"| {name} | {row.seconds:.3f} | {row.kernels:.2f} | {flops} | {moved} "
        f"| {_share(row.share)} |"
    )


def _contraction(row: Row, rate: float) -> str:
    planned = "–" if row.predicted_flops is None else f"{row.predicted_flops / 1e9:.2f}"
    bound = "–" if row.dense_flops is None else f"{row.dense_flops / rate / row.seconds:.2f}"
    error = "–" if row.error is None else f"{row.error:.0e}"
    return (
        f"| {row.name} | {row.plan or '–'} | {row.seconds:.3f} | {row.kernels:.2f} "
        f"| {row.flops / 1e9:.2f} | {planned} | {row.bytes / 1e9:.2f} | {_share(row.share)} "
        f"| {bound} | {error} |"
    )
