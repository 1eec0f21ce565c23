"""What a finished run leaves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hessinf.runtime.run_files import METRICS


@dataclass(frozen=True)
class FinishedRun:
    """What the Python function of a command returns.

    Parameters
    ----------
    directory
        The run's directory.
    was_complete
        Whether there was nothing left to do.
    """

    directory: Path
    was_complete: bool

    @property
    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` says."""
        return self.json_of(METRICS)

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        return "finished before" if self.was_complete else "finished"

    def json_of(self, name: str) -> dict[str, Any]:
        """Read the object that a file of the directory holds."""
        found: dict[str, Any] = json.loads((self.directory / name).read_text(encoding="utf-8"))
        return found

    def has(self, name: str) -> bool:
        """Say whether the directory has a file."""
        return (self.directory / name).exists()
