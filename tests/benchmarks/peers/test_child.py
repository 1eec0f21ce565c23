from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks.peers import child
from benchmarks.peers.child import Ending


def run(tmp_path: Path, program: str, seconds: float = 60, memory: int = 2**33) -> Ending:
    return child.run(
        [sys.executable, "-c", program],
        environment=os.environ,
        log=tmp_path / "log",
        seconds=seconds,
        memory=memory,
    )


class TestRun:
    def test_finishes(self, tmp_path: Path) -> None:
        ending = run(tmp_path, "sum(range(10**6))")
        assert ending.how == "finished"
        assert ending.said == ""
        assert ending.cpu > 0
        assert ending.wall > 0

    def test_says_the_last_line_of_a_failure(self, tmp_path: Path) -> None:
        ending = run(
            tmp_path, "import sys; print('before', file=sys.stderr); raise ValueError('so')"
        )
        assert (ending.how, ending.said) == ("failed", "ValueError: so")

    def test_names_the_signal_that_ended_it(self, tmp_path: Path) -> None:
        ending = run(tmp_path, "import os; os.kill(os.getpid(), 11)")
        assert (ending.how, ending.said) == ("failed", "ended by SIGSEGV")

    def test_is_ended_beyond_the_time_limit_with_what_it_started(self, tmp_path: Path) -> None:
        child_id = tmp_path / "child"
        program = (
            "import subprocess, sys, pathlib, time;"
            "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)']);"
            f"pathlib.Path({str(child_id)!r}).write_text(str(p.pid)); time.sleep(100)"
        )
        ending = run(tmp_path, program, seconds=2)
        assert ending.how == "over the time limit"
        status = Path(f"/proc/{child_id.read_text()}/stat")
        for _ in range(100):
            # Nobody may be there to learn of its end.
            if not status.exists() or status.read_text().split()[2] == "Z":
                break
            time.sleep(0.05)
        else:
            pytest.fail("what it started is still running")

    def test_is_ended_beyond_the_memory_limit(self, tmp_path: Path) -> None:
        program = "import time; kept = b'x' * 300_000_000; time.sleep(100)"
        assert run(tmp_path, program, memory=200_000_000).how == "over the memory limit"
