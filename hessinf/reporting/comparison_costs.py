"""What the rows of a comparison cost: time, memory, and points of plots beside quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hessinf.evaluation.result_rows import interval_of, number_of, ranked_rows
from hessinf.reporting.pareto_plot import Point

MEBIBYTE = 2**20

SHORTEST = 1e-3
"""Seconds: what took less is drawn there, on an axis without a zero."""

STAGES = ("fit", "score")


@dataclass(frozen=True)
class CostKind:
    """Something that a row takes.

    Parameters
    ----------
    axis
        What stands at the axis.
    unit
        Behind a number.
    least
        The axis has no zero: what is less is drawn there.
    """

    axis: str
    unit: str
    least: float


KINDS: Mapping[str, CostKind] = {
    "seconds": CostKind("time to fit and score, seconds", "s", SHORTEST),
    "memory": CostKind("peak memory of the whole process, MiB", "MiB", 1.0),
}


def cost_of(cost: Mapping[str, Any], kind: str) -> float:
    """Return what a row takes, in the unit of the kind.

    Parameters
    ----------
    cost
        Of one row: "fit" and "score", each {"seconds", "cpu_seconds"}, and "peak_memory_bytes".
    kind
        One of :data:`KINDS`.
    """
    if kind == "memory":
        return float(cost["peak_memory_bytes"]) / MEBIBYTE
    return sum_of(cost, "seconds")


def sum_of(cost: Mapping[str, Any], key: str) -> float:
    """Return a number of both stages together."""
    return float(sum(cost[stage][key] for stage in STAGES))


def cost_points(metric: Mapping[str, Any], costs: Mapping[str, Any], kind: str) -> list[Point]:
    """Return a point for each row whose value and cost are known, the best first.

    Parameters
    ----------
    metric
        One of the metrics of an evaluation.
    costs
        By row, as in ``metrics.json``.
    kind
        One of :data:`KINDS`.
    """
    points = []
    for row, summary in ranked_rows(metric):
        value = number_of(summary.get("value"))
        if row in costs and value is not None:
            cost = max(cost_of(costs[row], kind), KINDS[kind].least)
            points.append(Point(row, cost, value, interval_of(summary)))
    return points


def metrics_of(comparison: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return a comparison's metrics by name; none where nothing was evaluated."""
    found: Mapping[str, Mapping[str, Any]] = (comparison.get("evaluation") or {}).get("metrics", {})
    return found


def row_names(comparison: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of what was compared, in order."""
    return [row["name"] for row in comparison["rows"]]
