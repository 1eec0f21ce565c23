"""What the stages of a run took, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hessinf.display.numbers import bytes_, number, seconds
from hessinf.display.terminal import PLAIN, Style
from hessinf.display.text_table import aligned

TITLES = {
    "examples_per_second": "examples/s",
    "peak_memory_bytes": "memory at most",
    "peak_gpu_memory_bytes": "of the GPU",
}


def stage_table(metrics: Mapping[str, Any], style: Style = PLAIN) -> list[str]:
    """Show the stages of the process that finished a run, with the sum of their times.

    Parameters
    ----------
    metrics
        What ``metrics.json`` says.
    style
        Of the stream.
    """
    stages = metrics.get("stages") or []
    keys = [key for key in TITLES if any(stage.get(key) is not None for stage in stages)]
    rows = [
        [
            stage["name"],
            seconds(stage["seconds"]),
            *(_amount(key, stage.get(key)) for key in keys),
        ]
        for stage in stages
    ]
    if len(stages) > 1:
        whole = seconds(sum(stage["seconds"] for stage in stages))
        rows.append(["all stages", whole, *[""] * len(keys)])
    header = ["stage", "time", *(TITLES[key] for key in keys)]
    return aligned(header, rows, style=style, indent="") if rows else []


def _amount(key: str, value: Any) -> str:
    if value is None:
        return ""
    return (
        bytes_(value) if key.endswith("bytes") else number(round(value) if value >= 10 else value)
    )
