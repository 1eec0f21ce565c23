"""Runs one process under limits of time and memory, and says how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.peers.memory import resident_memory

POLL_SECONDS = 0.05

How = Literal["finished", "failed", "over the time limit", "over the memory limit"]


@dataclass(frozen=True)
class Ending:
    """How a process ended, and what it had used.

    ``said`` is the last line that it wrote to its standard error.
    """

    how: How
    wall: float
    cpu: float
    said: str


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    seconds: float,
    memory: int,
) -> Ending:
    """Run a command to its end, or until it goes beyond a limit.

    Parameters
    ----------
    command
        The program and its arguments.
    environment
        All of its environment variables.
    log
        Where its output goes.
    seconds
        Wall seconds that it may take.
    memory
        Bytes that it may have resident.
    """
    started = time.perf_counter()
    with open(log, "wb") as file:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            # Of its own, so that what it starts ends with it.
            start_new_session=True,
        )
    how: How | None = None
    try:
        while True:
            # Waited for here, not by subprocess: this gives what the process has used.
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            if how is None:
                if time.perf_counter() - started > seconds:
                    how = "over the time limit"
                elif resident_memory(process.pid) > memory:
                    how = "over the memory limit"
                if how is not None:
                    end(process.pid)
            time.sleep(POLL_SECONDS)
    except BaseException:
        end(process.pid)
        os.waitpid(process.pid, 0)
        raise
    finally:
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if how is None:
        how = "failed" if process.returncode else "finished"
    cpu = usage.ru_utime + usage.ru_stime
    return Ending(how, wall, cpu, last_line(log, process.returncode))


def end(pid: int) -> None:
    """End a process and what it has started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def last_line(log: Path, status: int) -> str:
    """Give the last line that says something, or the signal that ended the process."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return lines[-1].strip() if lines else ""
