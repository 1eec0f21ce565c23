"""The directory of a run: who may write it, when it is replaced, how it is resumed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hessinf.errors import HessinfError
from hessinf.runtime.files import remove_unfinished, write_json_atomically

PROVENANCE = "provenance.json"
"""Written first: a directory that has it is a run of hessinf's."""

LOCK = ".lock"
REPLACEMENT_SUFFIX = ".new"


class RunDirectoryError(HessinfError):
    """A directory cannot be used for a run as asked."""

    exit_status = 2


class RunDirectory:
    """Where a run writes.

    With ``force``, it writes beside the earlier run, which is replaced when the new one is finished
    and stays whole until then.

    Parameters
    ----------
    path
        Where the results belong.
    force
        Replace an earlier run.
    resume
        Go on with an unfinished run, or start one where there is none.
    """

    def __init__(self, path: str | Path, *, force: bool = False, resume: bool = False) -> None:
        self.final = Path(path)
        self.replacing = False
        self.resuming = False
        if self.final.exists() and not self.final.is_dir():
            raise RunDirectoryError(f"{path} is a file, expected a directory for the results (-s)")
        if not self._is_empty():
            if not is_run(self.final):
                raise RunDirectoryError(
                    f"{path} is not empty and no run of hessinf's (it has no {PROVENANCE}); it is "
                    "left as it is: choose another directory with -s"
                )
            if force:
                self.replacing = True
            elif resume:
                self.resuming = True
            else:
                raise RunDirectoryError(
                    f"{path} holds an earlier run; go on with it (-r), replace it (-f), or choose "
                    "another directory with -s"
                )
        self.path = self.final
        if self.replacing:
            self.path = self.final.with_name(self.final.name + REPLACEMENT_SUFFIX)

    def _is_empty(self) -> bool:
        if not self.final.exists():
            return True
        # A process that was killed before its first file was complete leaves only such names.
        return all(entry.name.startswith(".") for entry in self.final.iterdir())

    def check_config(self, resolved: dict[str, Any]) -> None:
        """Refuse to resume a run of another config, and show every difference.

        Raises
        ------
        RunDirectoryError
            With a line for each place that differs.
        """
        file = self.path / "config.json"
        if not self.resuming or not file.exists():
            return
        try:
            earlier = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunDirectoryError(f"cannot read {file}: {error}") from error
        lines = differences(earlier, json.loads(json.dumps(resolved)))
        if lines:
            raise RunDirectoryError(
                f"{self.path} was started with another config; go on with the same one, replace "
                "the run (-f), or choose another directory:\n  " + "\n  ".join(lines)
            )

    @contextlib.contextmanager
    def open(self) -> Iterator[Path]:
        """Make the directory and hold it, so that no second run writes it at the same time.

        Yields
        ------
        Path
            Where to write. When the block ends well, it is put in the place of an earlier run.
        """
        if self.replacing and self.path.exists():
            if not self._may_be_removed(self.path):
                raise RunDirectoryError(
                    f"{self.path} is where the new run would be written before it replaces "
                    f"{self.final}, and it is no run of hessinf's; move it away"
                )
            shutil.rmtree(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / LOCK, "a+")  # noqa: SIM115 (held until the run ends)
        except OSError as error:
            raise RunDirectoryError(f"cannot write to {self.path}: {error.strerror}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RunDirectoryError(
                    f"another process is working in {self.path}; wait for it, or stop it"
                ) from error
            remove_unfinished(self.path)
            yield self.path
            (self.path / LOCK).unlink(missing_ok=True)
        if self.replacing:
            self._put_in_place()

    def _may_be_removed(self, path: Path) -> bool:
        return is_run(path) or all(entry.name.startswith(".") for entry in path.iterdir())

    def _put_in_place(self) -> None:
        retired = self.final.with_name(f".{self.final.name}.{os.getpid()}.retired")
        os.replace(self.final, retired)
        os.replace(self.path, self.final)
        shutil.rmtree(retired)
        self.path = self.final


def is_run(path: Path) -> bool:
    """Whether a directory is a run of hessinf's."""
    try:
        provenance = json.loads((path / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(provenance, dict) and "hessinf" in provenance


def is_complete(path: Path) -> bool:
    """Whether a run was finished."""
    try:
        metrics = json.loads((path / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(metrics, dict) and metrics.get("complete") is True


def differences(earlier: Any, now: Any, path: str = "") -> list[str]:
    """Name the places where two JSON values differ."""
    if isinstance(earlier, dict) and isinstance(now, dict):
        keys = [*earlier, *(key for key in now if key not in earlier)]
        return [
            line
            for key in keys
            for line in differences(
                earlier.get(key), now.get(key), f"{path}.{key}" if path else str(key)
            )
        ]
    if earlier == now:
        return []
    return [f"{path}: then {json.dumps(earlier)}, now {json.dumps(now)}"]


def write_provenance(path: Path, provenance: dict[str, Any]) -> None:
    """Write ``provenance.json``."""
    write_json_atomically(path / PROVENANCE, provenance)
