"""Measurements that are kept: a file for each run, so that an interruption loses one at most."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

MEASURING = 1
"""To be raised when the way of measuring changes: what was kept is then measured again."""


@dataclass(frozen=True)
class Configuration:
    """What decides the figures of a run, beside the machine.

    Parameters
    ----------
    peer, method
        The name of an adapter, and of one of its methods.
    workload
        The name of the workload.
    fingerprint
        Of its data and weights.
    code
        Of the sources that are measured: the adapter and, for hessinf, the whole package; for
        other packages what their environment was made from.
    threads
        Threads that it may use.
    warm
        Whether torch's compiler is imported before the clock runs.
    """

    peer: str
    method: str
    workload: str
    fingerprint: str
    code: str
    threads: int
    warm: bool = False

    def stem(self, run: int) -> str:
        """Name the files of one run."""
        text = json.dumps([MEASURING, asdict(self)], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{self.peer}-{self.method}-{self.workload}-{digest}-{run}"


class Store:
    """A folder of finished runs, each ``NAME.json`` and, where it has scores, ``NAME.npy``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, configuration: Configuration, run: int) -> Path:
        """Name the file of a run."""
        return self.folder / f"{configuration.stem(run)}.json"

    def get(self, configuration: Configuration, run: int) -> dict[str, Any] | None:
        """Give a finished run, or None."""
        try:
            text = self.path(configuration, run).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return json.loads(text)

    def put(self, configuration: Configuration, run: int, facts: dict[str, Any]) -> None:
        """Keep a run; its scores must be there already."""
        path = self.path(configuration, run)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        unfinished.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        os.replace(unfinished, path)

    def scores(self, configuration: Configuration, run: int) -> np.ndarray:
        """Load the scores of a finished run, ``[Q, N]``."""
        return np.load(self.path(configuration, run).with_suffix(".npy"))


def hash_of(paths: Iterable[Path]) -> str:
    """Hash the contents of files."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
