"""What ``hessinf compare`` prints: agreement, quality and cost, in aligned tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hessinf.commands.compare_run import FinishedComparison
from hessinf.commands.evaluation_table import describe, shown_warnings
from hessinf.commands.result_files import next_steps
from hessinf.display.numbers import bytes_, counted, number, seconds
from hessinf.display.terminal import PLAIN, WIDTH, Style, visible
from hessinf.display.text_table import aligned, cells
from hessinf.evaluation.result_rows import sizes_text
from hessinf.reporting.comparison_costs import STAGES, sum_of


def tables(finished: FinishedComparison, *, style: Style = PLAIN, width: int = WIDTH) -> str:
    """Describe a finished comparison.

    Parameters
    ----------
    finished
        What :func:`hessinf.commands.compare_run.compare` returned.
    style, width
        Of the stream.

    Returns
    -------
    str
        Several lines.
    """
    comparison = finished.comparison
    title = f"{counted(len(comparison['rows']), 'method')} on one model: {finished.ending}"
    blocks = [style.bold(title)]
    if comparison["evaluation"] is None:
        blocks += shown_warnings(comparison["warnings"], style, width)
        blocks.append(sizes_text(comparison["queries"], comparison["training_examples"]))
    else:
        blocks.append(describe(comparison["evaluation"], style=style, width=width))
    blocks += [
        _agreement(comparison["agreement"], style, width),
        _costs(finished.costs, style, width),
        "\n".join(next_steps(finished.directory, style, width)),
    ]
    return "\n\n".join(blocks)


def _agreement(agreement: Mapping[str, Any], style: Style, width: int) -> str:
    top_k = agreement["top_k"]
    chance = f"by chance {number(agreement['top_k_by_chance'])}"
    parts = (
        ("spearman", "rank correlation, mean over queries"),
        ("top_k_helpful", f"share of the {top_k} most helpful that both have ({chance})"),
        ("top_k_harmful", f"share of the {top_k} most harmful that both have ({chance})"),
    )
    names = [visible(name) for name in agreement["names"]]
    return "\n\n".join(
        "\n".join([style.bold(title), *_matrix(names, agreement[key], style, width)])
        for key, title in parts
    )


def _matrix(
    names: Sequence[str], values: Sequence[Sequence[float | None]], style: Style, width: int
) -> list[str]:
    titles = list(names)
    if max(map(cells, names)) + sum(cells(name) + 2 for name in names) + 2 > width:
        # Too wide with names above the columns: they are numbered.
        titles = [str(place) for place in range(1, len(names) + 1)]
        names = [f"{place} {name}" for place, name in zip(titles, names, strict=True)]
    lines = [
        [name, *("undefined" if value is None else number(value) for value in row)]
        for name, row in zip(names, values, strict=True)
    ]
    return aligned(["", *titles], lines, width=width, split=True, style=style)


def _costs(costs: Mapping[str, Any], style: Style, width: int) -> str:
    lines = [
        [
            visible(name),
            *(seconds(cost[stage]["seconds"]) for stage in STAGES),
            seconds(sum_of(cost, "cpu_seconds")),
            bytes_(cost["peak_memory_bytes"]),
        ]
        for name, cost in costs.items()
    ]
    header = ["", "to fit", "to score", "CPU time", "memory at most"]
    title = style.bold("cost, each row in a process of its own")
    return "\n".join([title, *aligned(header, lines, width=width, split=True, style=style)])
