from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import measure
from benchmarks.peers.clock import Clock
from benchmarks.peers.memory import peak_memory
from benchmarks.peers.session import ROOT
from benchmarks.peers.workloads import Workload, load

Write = Callable[..., Path]


def perfect(workload: Workload, clock: Clock) -> np.ndarray:
    with clock.stage("fit"):
        pass
    with clock.stage("score"):
        return np.ones((len(workload.test[0]), len(workload.train[0])))


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    made = types.ModuleType("benchmarks.peers.adapters.fake")
    made.METHODS = {
        "perfect": perfect,
        "flat": lambda workload, clock: np.ones(5),
        "broken": lambda workload, clock: np.full((3, 12), np.nan),
    }
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setattr(measure, "KERNEL_SHAPE", (4, 3, 2))
    return made


class TestMeasure:
    def test_writes_facts_and_scores(
        self, adapter: types.ModuleType, write_workload: Write, tmp_path: Path
    ) -> None:
        folder = write_workload("tiny-mlp", tmp_path / "work")
        measure.measure("fake", "perfect", folder, tmp_path / "out")
        facts = json.loads((tmp_path / "out.json").read_text())
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), np.ones((3, 12)))
        assert (facts["peer"], facts["method"], facts["workload"]) == (
            "fake",
            "perfect",
            "tiny-mlp",
        )
        assert list(facts["stages"]) == ["fit", "score"]
        assert facts["shape"] == [3, 12]
        assert facts["threads"] >= 1
        assert facts["peak_bytes"] >= facts["start_bytes"] > 10_000_000
        assert set(facts["kernel"]) == {"wall", "cpu"}
        assert {"python", "torch", "numpy"} <= set(facts["versions"])

    @pytest.mark.parametrize(
        ("method", "message"),
        [
            ("flat", "scores have the shape (5,), expected (3, 12)"),
            ("broken", "36 of 36 scores are not finite"),
            ("absent", "fake has no absent here; it has broken, flat, perfect"),
        ],
    )
    def test_refuses_what_are_no_scores(
        self,
        adapter: types.ModuleType,
        write_workload: Write,
        tmp_path: Path,
        method: str,
        message: str,
    ) -> None:
        folder = write_workload("tiny-mlp", tmp_path / "work")
        with pytest.raises(SystemExit, match=f"^{re.escape(message)}$"):
            measure.measure("fake", method, folder, tmp_path / "out")
        assert not (tmp_path / "out.json").exists()


class TestPeakMemory:
    def test_what_a_parent_holds_is_not_charged_to_its_child(self) -> None:
        """``getrusage`` would say of both children what this process has."""
        held = np.ones(150_000_000, dtype=np.uint8)
        program = "from benchmarks.peers.memory import peak_memory; print(peak_memory())"

        def peak_of(text: str) -> int:
            ended = subprocess.run(
                [sys.executable, "-c", text],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                check=True,
            )
            return int(ended.stdout)

        small, larger = peak_of(program), peak_of(f"kept = b'x' * 100_000_000; {program}")
        assert small < 50_000_000 < held.sum() < peak_memory()
        assert 90_000_000 < larger - small < 110_000_000


class TestClock:
    def test_a_stage_may_be_entered_again(self) -> None:
        clock = Clock()
        with clock.stage("fit"):
            sum(range(10**5))
        once = clock.processor["fit"]
        with clock.stage("fit"):
            sum(range(10**5))
        assert clock.processor["fit"] > once > 0
        assert clock.wall["fit"] > 0


def test_methods_get_the_workload(
    adapter: types.ModuleType, write_workload: Write, tmp_path: Path
) -> None:
    workload = load(write_workload("tiny-mlp", tmp_path / "work", train=5, queries=2))
    assert measure.method_of("fake", "perfect")(workload, Clock()).shape == (2, 5)
