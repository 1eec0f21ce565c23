from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hessinf.runtime.file_lock import holding

HOLDER = """
import sys, time
from hessinf.runtime.file_lock import holding
with holding(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_it_is_removed_at_the_end(tmp_path: Path) -> None:
    for _ in range(2):
        with holding(tmp_path / "lock"):
            assert (tmp_path / "lock").exists()
        assert not (tmp_path / "lock").exists()


def test_a_killed_process_holds_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lock = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, lock], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        reached = threading.Event()

        def wait() -> None:
            with holding(lock):
                reached.set()

        with caplog.at_level(logging.WARNING, "hessinf.runtime"):
            waiting = threading.Thread(target=wait)
            waiting.start()
            assert not reached.wait(0.2)
            os.kill(other.pid, signal.SIGKILL)
            assert reached.wait(60)
            waiting.join()
    assert caplog.messages == [f"waiting for another process, which holds {lock}"]
    assert not lock.exists()


def test_one_at_a_time(tmp_path: Path) -> None:
    inside, most = [], []

    def work() -> None:
        for _ in range(20):
            with holding(tmp_path / "lock"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) == 80
