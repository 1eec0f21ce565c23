"""``interpretations.jsonl``, written shard by shard so that a killed run loses one shard at most.

Each finished block of queries becomes a file of its own under ``shards/``, whole or absent. The
shards so far are published as ``interpretations.jsonl``, which is replaced as a whole, and removed
once all of it is there.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from hessinf.runtime.files import remove_unfinished, write_atomically
from hessinf.runtime.json_lines import json_line
from hessinf.runtime.run_files import INTERPRETATIONS, SHARDS
from hessinf.scores.interpretation import Interpretation

SHARE_OF_TIME_FOR_PUBLISHING = 0.05
"""Publishing rewrites the whole file: not before this share of the time is enough for it."""


class InterpretationStore:
    """The interpretations of a run, by blocks of queries.

    Parameters
    ----------
    folder
        The run's directory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards = folder / SHARDS
        self.shards.mkdir(exist_ok=True)
        remove_unfinished(self.shards)
        self._next_publication = 0.0

    def _shard(self, start: int, stop: int) -> Path:
        return self.shards / f"interpretations-{start:08d}-{stop:08d}.jsonl"

    def has(self, start: int, stop: int) -> bool:
        """Whether the queries from ``start`` to ``stop`` are finished."""
        return self._shard(start, stop).exists()

    def add(self, start: int, stop: int, interpretations: Iterable[Interpretation]) -> None:
        """Keep a finished block, and publish when it is time."""
        write_atomically(
            self._shard(start, stop), "".join(json_line(one.to_json()) for one in interpretations)
        )
        if time.monotonic() >= self._next_publication:
            self.publish()

    def finished(self) -> list[Path]:
        """List the finished shards, in the order of their queries."""
        shards = self.shards.glob("interpretations-*.jsonl")
        return sorted(shards, key=lambda shard: int(shard.name.split("-")[1]))

    def publish(self) -> Path:
        """Write ``interpretations.jsonl`` from the shards that there are."""
        started = time.monotonic()
        content = b"".join(shard.read_bytes() for shard in self.finished())
        write_atomically(self.folder / INTERPRETATIONS, content)
        took = time.monotonic() - started
        self._next_publication = time.monotonic() + took / SHARE_OF_TIME_FOR_PUBLISHING
        return self.folder / INTERPRETATIONS

    def remove_shards(self) -> None:
        """Remove the shards, when the run is recorded as complete."""
        shutil.rmtree(self.shards, ignore_errors=True)
