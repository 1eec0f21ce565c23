"""Wall and processor seconds of the stages of a method."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator


def processor_seconds() -> float:
    """Sum user and system seconds of all threads, and of children that have ended."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


class Clock:
    """Times the stages of a method: ``with clock.stage("fit"):``, and then "score"."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.processor: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add what the block takes to a stage."""
        wall, processor = time.perf_counter(), processor_seconds()
        yield
        taken = processor_seconds() - processor
        self.processor[name] = self.processor.get(name, 0.0) + taken
        self.wall[name] = self.wall.get(name, 0.0) + time.perf_counter() - wall
