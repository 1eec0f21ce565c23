"""What ``hessinf compare`` prints: agreement, quality and cost, in aligned tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hessinf.commands.compare_run import PAGE, RESULTS, FinishedComparison
from hessinf.commands.evaluation_table import aligned, describe

MEBIBYTE = 2**20


def tables(finished: FinishedComparison) -> str:
    """Describe a finished comparison.

    Parameters
    ----------
    finished
        What :func:`hessinf.commands.compare_run.compare` returned.

    Returns
    -------
    str
        Text without colours.
    """
    comparison = finished.comparison
    done = "finished before" if finished.was_complete else "finished"
    blocks = []
    if comparison["evaluation"] is not None:
        blocks.append(describe(comparison["evaluation"]))
    blocks += [
        _agreement(comparison["agreement"]),
        _costs(finished.costs),
        f"{done}: the page is {finished.directory / PAGE}, all numbers are in "
        f"{finished.directory / RESULTS}",
    ]
    return "\n\n".join(blocks)


def _agreement(agreement: Mapping[str, Any]) -> str:
    top_k = agreement["top_k"]
    chance = f"by chance {agreement['top_k_by_chance']:.2g}"
    parts = (
        ("spearman", "rank correlation, mean over queries"),
        ("top_k_helpful", f"share of the {top_k} most helpful that both have ({chance})"),
        ("top_k_harmful", f"share of the {top_k} most harmful that both have ({chance})"),
    )
    return "\n\n".join(
        "\n".join([title, *_matrix(agreement["names"], agreement[key])]) for key, title in parts
    )


def _matrix(names: Sequence[str], values: Sequence[Sequence[float | None]]) -> list[str]:
    lines = [
        [name, *("undefined" if value is None else f"{value:.3f}" for value in row)]
        for name, row in zip(names, values, strict=True)
    ]
    return aligned(["", *names], lines)


def _costs(costs: Mapping[str, Any]) -> str:
    lines = [
        [
            name,
            *(f"{cost[stage]['seconds']:.2f}" for stage in ("fit", "score")),
            f"{sum(cost[stage]['cpu_seconds'] for stage in ('fit', 'score')):.2f}",
            f"{cost['peak_memory_bytes'] / MEBIBYTE:,.0f}",
        ]
        for name, cost in costs.items()
    ]
    header = ["", "fit s", "score s", "cpu s", "peak MiB"]
    return "\n".join(["cost, each row in a process of its own", *aligned(header, lines)])
