"""Run a command as a process of its own, and learn what it took: clock, processor, memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessCost:
    """What a process took, from its start to its exit.

    Parameters
    ----------
    clock
        Seconds by the clock.
    processor
        Seconds on the processor, over all threads and the processes that it waited for.
    peak_bytes
        The most memory that it has held at once.
    status
        How it ended; minus the signal's number, where one ended it.
    output, errors
        What it wrote to its two streams.
    """

    clock: float
    processor: float
    peak_bytes: int
    status: int
    output: str
    errors: str

    @property
    def last_line(self) -> str:
        """The last line of its errors, which says what went wrong."""
        lines = self.errors.strip().splitlines()
        return lines[-1] if lines else f"status {self.status}, and no word about it"


def environment(import_from: Path, threads: int = 1) -> dict[str, str]:
    """Make an environment in which Python imports a source tree's own modules.

    Parameters
    ----------
    import_from
        The tree; it comes before everything that is installed.
    threads
        For the arithmetic.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {
        "PYTHONPATH": str(import_from),
        "OMP_NUM_THREADS": str(threads),
        "HESSINF_PROGRESS": "0",
    }


def run_process(
    command: Sequence[str], env: Mapping[str, str], folder: Path | None = None
) -> ProcessCost:
    """Run a command to its end; it is killed when the caller is interrupted.

    Linux lets a process inherit the peak memory of the one that starts it: keep the caller small.

    Parameters
    ----------
    command
        Program and arguments.
    env
        Its environment.
    folder
        Its working directory.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=dict(env), cwd=folder, stdout=output, stderr=errors)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        clock = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for stream in (output, errors):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return ProcessCost(
        clock,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * unit,
        process.returncode,
        *texts,
    )
