"""Runs the command line in forked processes, and kills each at a moment that the test chooses.

A program of its own: test_resume.py starts it, so that PyTorch is imported once for a hundred runs.
Each line of its input is a request, each line of its output the answer.

The moments of a run are what changes files (a file opened for writing, a rename, a removal, a
directory made or removed) and every step of a progress bar. The process is killed just before the
moment, as a power cut would: by SIGKILL, and with what it was writing cut in half.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys

import sklearn.datasets  # noqa: F401 (imported once, before the forks)
import torch
import zarr  # noqa: F401

import hessinf.commands.summary
import hessinf.interpreters.exact
import hessinf.interpreters.simple_influence  # noqa: F401
from hessinf.commands.main import main
from hessinf.runtime import progress
from hessinf.scores import interpretation_store

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link")
STEP = "hessinf.tests.step"


class Moments:
    """Counts the moments of this process, and ends it at one of them."""

    def __init__(self, folder: str, kill_at: int | None) -> None:
        self.folder = os.path.realpath(folder)
        self.kill_at = kill_at
        self.seen: list[str] = []

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.is_moment(event, arguments):
            return
        target = "" if event == STEP else os.path.basename(os.fsdecode(arguments[0]))
        self.seen.append(f"{event} {target}")
        if len(self.seen) == self.kill_at:
            if event == "os.rename" and os.path.isfile(arguments[0]):
                descriptor = os.open(arguments[0], os.O_WRONLY)
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    def is_moment(self, event: str, arguments: tuple[object, ...]) -> bool:
        if event == STEP:
            return True
        if event == "open":
            path, _, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            return bool(writes) and self.is_inside(path)
        if event not in CHANGES:
            return False
        relative_to_folder = arguments[-1] != -1 and event in ("os.remove", "os.rmdir")
        if relative_to_folder:  # shutil.rmtree
            return True
        exists = event == "os.mkdir" or os.path.lexists(arguments[0])
        return exists and self.is_inside(arguments[0])

    def is_inside(self, path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        parent, name = os.path.split(os.path.abspath(os.fsdecode(path)))
        return os.path.join(os.path.realpath(parent), name).startswith(self.folder)


def run(request: dict[str, object], answers: int) -> None:
    moments = Moments(request["folder"], request["kill_at"])
    update = progress.Bar.update

    def update_and_tell(bar: progress.Bar, count: int = 1) -> None:
        sys.audit(STEP)
        update(bar, count)

    progress.Bar.update = update_and_tell
    os.fsync = lambda descriptor: None  # slow, and of no use against SIGKILL
    # The same moments each time, however long anything takes: publish after every block.
    interpretation_store.SHARE_OF_TIME_FOR_PUBLISHING = math.inf
    sys.argv = ["hessinf", *request["argv"]]
    sys.addaudithook(moments)
    status = main(request["argv"])
    os.write(answers, json.dumps({"status": status, "moments": moments.seen}).encode())


def answer(request: dict[str, object]) -> dict[str, object]:
    read_end, write_end = os.pipe()
    process = os.fork()
    if process == 0:
        status = 99
        try:
            os.close(read_end)
            log = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            run(request, write_end)
            sys.stdout.flush()
            status = 0
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as told:
        text = told.read()
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    return {"signal": None, **(json.loads(text) if text else {"status": None})}


def warm_up(argv: list[str]) -> dict[str, object]:
    """Run in this process, once: what is imported and set up for it is there in every fork."""
    with contextlib.redirect_stdout(sys.stderr):
        return {"status": main(argv)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in sys.stdin:
        request = json.loads(line)
        told = warm_up(request["warm_up"]) if "warm_up" in request else answer(request)
        print(json.dumps(told), flush=True)
