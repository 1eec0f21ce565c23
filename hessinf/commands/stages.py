"""What each stage of a run took: seconds, memory, examples a second."""

from __future__ import annotations

import contextlib
import logging
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)


@dataclass
class Stage:
    """One stage.

    Parameters
    ----------
    name
        What was done.
    seconds
        How long it took by the clock.
    cpu_seconds
        How long processors worked on it, over all threads.
    peak_memory_bytes
        The most memory that the process has held until the end of the stage.
    peak_gpu_memory_bytes
        The most memory that tensors took on the GPU during the stage; None where none is used.
    examples
        How many examples it went through; None where it goes through none, as when what it makes
        was there already.
    """

    name: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    peak_gpu_memory_bytes: int | None = None
    examples: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object for ``metrics.json``."""
        rate = self.examples / self.seconds if self.examples and self.seconds else None
        return {
            "name": self.name,
            "seconds": round(self.seconds, 4),
            "cpu_seconds": round(self.cpu_seconds, 4),
            "peak_memory_bytes": self.peak_memory_bytes,
            "peak_gpu_memory_bytes": self.peak_gpu_memory_bytes,
            "examples": self.examples,
            "examples_per_second": None if rate is None else round(rate, 2),
        }


class Stages:
    """The stages of a run, in order."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    @contextlib.contextmanager
    def stage(self, name: str, examples: int | None = None) -> Iterator[Stage]:
        """Measure the block as one stage, also when it raises."""
        stage = Stage(name, examples=examples)
        logger.info("%s", name)
        gpu = _gpu()
        if gpu is not None:
            gpu.reset_peak_memory_stats()
        clock, cpu = time.perf_counter(), time.process_time()
        try:
            yield stage
        finally:
            stage.seconds = time.perf_counter() - clock
            stage.cpu_seconds = time.process_time() - cpu
            # Linux counts in KiB, macOS in bytes.
            unit = 1 if sys.platform == "darwin" else 1024
            stage.peak_memory_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
            gpu = _gpu()
            if gpu is not None:
                stage.peak_gpu_memory_bytes = gpu.max_memory_allocated()
            self.stages.append(stage)
            logger.info("%s: %.2f s", name, stage.seconds)

    def to_json(self) -> list[dict[str, Any]]:
        """Return all stages as JSON."""
        return [stage.to_json() for stage in self.stages]


def _gpu() -> Any:
    """Return ``torch.cuda`` where the process computes on a GPU; it is never initialised here."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    return cuda if cuda is not None and cuda.is_initialized() else None
