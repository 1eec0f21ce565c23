"""What the stages of a run took."""

from __future__ import annotations

from typing import Any

from hessinf.commands.stage_table import stage_table


def stage(name: str, seconds: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "seconds": seconds, "peak_memory_bytes": 2**30, **more}


def test_stages_and_their_sum():
    stages = [
        stage("reading data", 0.25, examples_per_second=6468.0),
        stage("model", 65.0, examples_per_second=1.234, peak_gpu_memory_bytes=3 * 2**29),
    ]
    assert stage_table({"stages": stages}) == [
        "stage               time  examples/s  memory at most  of the GPU",
        "reading data      0.25 s       6,468        1.00 GiB",
        "model         1 min 05 s       1.234        1.00 GiB    1.50 GiB",
        "all stages    1 min 05 s",
    ]


def test_one_stage_has_no_sum():
    assert stage_table({"stages": [stage("model", 1.0)]}) == [
        "stage    time  memory at most",
        "model  1.00 s        1.00 GiB",
    ]


def test_without_stages_there_is_no_table():
    assert stage_table({}) == []
    assert stage_table({"stages": []}) == []
