"""Processes of their own: what is learnt of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks import fresh_process
from benchmarks.fresh_process import ProcessCost, environment, run_process


def run(code: str, folder: Path | None = None) -> ProcessCost:
    return run_process([sys.executable, "-c", code], os.environ, folder)


def test_output_and_status() -> None:
    cost = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (cost.output, cost.errors, cost.status) == ("out\n", "err\n", 3)


def test_more_output_than_a_pipe_holds() -> None:
    assert len(run("print('x' * 1_000_000)").output) == 1_000_001


def test_what_it_took() -> None:
    small = run("pass")
    assert small.clock > 0
    assert small.processor > 0
    large = run("x = bytearray(300 << 20)")
    assert large.peak_bytes > 300 << 20


def test_a_signal_is_a_negative_status() -> None:
    assert run("import os; os.kill(os.getpid(), 9)").status == -9


def test_the_folder(tmp_path: Path) -> None:
    assert run("import os; print(os.getcwd())", tmp_path).output.strip() == str(tmp_path.resolve())


@pytest.mark.parametrize(
    ("code", "last"),
    [
        ("raise ValueError('why')", "ValueError: why"),
        ("import sys; sys.exit(4)", "status 4, and no word about it"),
    ],
)
def test_what_went_wrong(code: str, last: str) -> None:
    assert run(code).last_line == last


def test_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("KEPT", "yes")
    made = environment(tmp_path, threads=2)
    assert "PYTHONDONTWRITEBYTECODE" not in made
    assert made["KEPT"] == "yes"
    assert made["PYTHONPATH"] == str(tmp_path)
    assert made["OMP_NUM_THREADS"] == "2"
    assert made["HESSINF_PROGRESS"] == "0"


def test_an_interrupt_ends_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = []
    real = fresh_process.os.wait4

    def interrupted(pid: int, options: int) -> None:
        found.append(pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(fresh_process.os, "wait4", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("import time; time.sleep(60)")
    monkeypatch.setattr(fresh_process.os, "wait4", real)
    with pytest.raises(ProcessLookupError):
        os.kill(found[0], 0)
