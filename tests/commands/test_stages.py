"""What is measured of the stages of a run."""

from __future__ import annotations

import resource
import sys
import types
from typing import Any

import pytest

from hessinf.commands import stages as stages_module
from hessinf.commands.stages import Stage, Stages


class TestStage:
    def test_json(self) -> None:
        stage = Stage("fitting", seconds=2.0, cpu_seconds=1.5, peak_memory_bytes=7, examples=100)
        assert stage.to_json() == {
            "name": "fitting",
            "seconds": 2.0,
            "cpu_seconds": 1.5,
            "peak_memory_bytes": 7,
            "peak_gpu_memory_bytes": None,
            "examples": 100,
            "examples_per_second": 50.0,
        }

    @pytest.mark.parametrize(("examples", "seconds"), [(None, 1.0), (0, 1.0), (5, 0.0)])
    def test_no_rate_of_nothing(self, examples: int | None, seconds: float) -> None:
        stage = Stage("loading", seconds=seconds, examples=examples)
        assert stage.to_json()["examples_per_second"] is None
        assert stage.to_json()["examples"] == examples


class TestStages:
    def test_in_order_with_what_the_block_says(self) -> None:
        stages = Stages()
        with stages.stage("reading data") as stage:
            stage.examples = 12
        with stages.stage("model", 3):
            pass
        listed = stages.to_json()
        assert [(stage["name"], stage["examples"]) for stage in listed] == [
            ("reading data", 12),
            ("model", 3),
        ]

    def test_clocks(self, monkeypatch: Any) -> None:
        clock, cpu = iter([10.0, 12.5]), iter([1.0, 5.0])
        monkeypatch.setattr("time.perf_counter", lambda: next(clock))
        monkeypatch.setattr("time.process_time", lambda: next(cpu))
        stages = Stages()
        with stages.stage("model"):
            pass
        assert (stages.stages[0].seconds, stages.stages[0].cpu_seconds) == (2.5, 4.0)

    def test_a_stage_that_fails_is_kept(self) -> None:
        stages = Stages()
        with pytest.raises(RuntimeError), stages.stage("model"):
            raise RuntimeError
        assert [stage.name for stage in stages.stages] == ["model"]

    @pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
    def test_peak_memory_in_bytes(self, monkeypatch: Any, platform: str, unit: int) -> None:
        monkeypatch.setattr(sys, "platform", platform)
        usage = types.SimpleNamespace(ru_maxrss=3)
        monkeypatch.setattr(resource, "getrusage", lambda _: usage)
        stages = Stages()
        with stages.stage("model"):
            pass
        assert stages.stages[0].peak_memory_bytes == 3 * unit

    def test_gpu_memory_of_each_stage(self, monkeypatch: Any) -> None:
        cuda = FakeCuda()
        monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
        stages = Stages()
        with stages.stage("reading data"):
            pass
        cuda.initialized = True
        for used in (5, 3):
            with stages.stage("model"):
                cuda.peak = max(cuda.peak, used)
        assert [stage.peak_gpu_memory_bytes for stage in stages.stages] == [None, 5, 3]

    def test_a_gpu_that_is_not_used_is_not_set_up(self, monkeypatch: Any) -> None:
        monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=FakeCuda()))
        with Stages().stage("model") as stage:
            pass
        assert stage.peak_gpu_memory_bytes is None

    def test_log(self, monkeypatch: Any) -> None:
        messages: list[str] = []
        monkeypatch.setattr(
            stages_module.logger, "info", lambda text, *values: messages.append(text % values)
        )
        clock = iter([1.0, 2.25])
        monkeypatch.setattr("time.perf_counter", lambda: next(clock))
        with Stages().stage("model"):
            pass
        assert messages == ["model", "model: 1.25 s"]


class FakeCuda:
    """``torch.cuda`` as far as it is used, and nothing before it is initialised."""

    def __init__(self) -> None:
        self.initialized = False
        self.peak = 0

    def is_initialized(self) -> bool:
        return self.initialized

    def reset_peak_memory_stats(self) -> None:
        assert self.initialized
        self.peak = 0

    def max_memory_allocated(self) -> int:
        assert self.initialized
        return self.peak
