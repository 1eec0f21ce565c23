"""The directory of a run: who may write it, when it is replaced, how it is resumed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hessinf.commands.run_config import LATER_KEYS
from hessinf.errors import HessinfError
from hessinf.runtime.file_lock import is_open_at
from hessinf.runtime.files import (
    RETIRED_SUFFIX,
    UNFINISHED_SUFFIX,
    remove_unfinished,
    write_json_atomically,
)
from hessinf.runtime.json_differences import differing_places
from hessinf.runtime.run_files import CONFIG, METRICS, PROVENANCE

LOCK = ".lock"
REPLACEMENT_SUFFIX = ".new"

REPLACEMENT_MARK = ".replacement"
"""A file that tells what ``-f`` writes at DIR.new from a run that somebody has put there."""

LEFT_BY_KILLED_PROCESSES = re.compile(
    rf"{re.escape(LOCK)}|{re.escape(REPLACEMENT_MARK)}"
    rf"|\..+\.\d+({re.escape(UNFINISHED_SUFFIX)}|{re.escape(RETIRED_SUFFIX)})"
)
"""What a process that was killed before its first file was complete may leave."""


class RunDirectoryError(HessinfError):
    """A directory cannot be used for a run as asked."""

    exit_status = 2


class RunDirectory:
    """Where a run writes.

    With ``force``, it writes beside the earlier run (``DIR.new``), which is replaced when the new
    one is finished and stays whole until then. A replacement that was stopped goes on with
    ``resume``.

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
        if not str(path):
            raise RunDirectoryError('-s is "", expected a directory for the results')
        self.final = Path(path)
        try:
            str(path).encode()
        except UnicodeEncodeError:  # safetensors opens no such file
            shown = str(path).encode(errors="backslashreplace").decode()
            raise RunDirectoryError(f"-s is {shown}, which is no UTF-8 text") from None
        try:
            is_link = self.final.is_symlink()
        except OSError as error:  # a name that no file can have
            raise RunDirectoryError(f"-s is {path}: {error.strerror}") from error
        if self.final.name in ("", "..") or is_link:
            # Renames are of names: not of "." and "..", and not of a link to the directory.
            self.final = Path(os.path.realpath(self.final))
        if not self.final.name:
            raise RunDirectoryError(f"-s is {path}, the root; choose a directory inside it")
        self.replacement = self.final.with_name(self.final.name + REPLACEMENT_SUFFIX)
        self.replacing = False
        self.resuming = False
        self._may_resume = resume
        self._recover()
        if self.final.exists() and not self.final.is_dir():
            raise RunDirectoryError(f"{path} is a file, expected a directory for the results (-s)")
        self._found = self._state()
        if not _is_unused(self.final):
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
        self.path = self.replacement if self.replacing else self.final

    def check_config(self, resolved: dict[str, Any]) -> None:
        """Choose what to resume, or refuse a run of another config and show every difference.

        Raises
        ------
        RunDirectoryError
            With a line for each place that differs.
        """
        if not self._may_resume:
            return
        now = json.loads(json.dumps(resolved))
        if _is_replacement(self.replacement) and not self._differences(self.replacement, now):
            self.replacing = self.resuming = True
            self.path = self.replacement
            if is_complete(self.path):
                # It was stopped after its last result, and before it took the earlier run's place.
                with self.open():
                    pass
            return
        if not self.resuming:
            return
        lines = self._differences(self.path, now)
        if lines:
            raise RunDirectoryError(
                f"{self.path} was started with another config; go on with the same one, replace "
                "the run (-f), or choose another directory:\n  " + "\n  ".join(lines)
            )

    def _differences(self, folder: Path, now: Any) -> list[str]:
        earlier = _earlier_config(folder)
        if isinstance(earlier, dict):
            later = {key: value for key, value in LATER_KEYS.items() if key in now}
            earlier = {**later, **earlier}
        return [] if earlier is None else differences(earlier, now)

    @contextlib.contextmanager
    def open(self) -> Iterator[Path]:
        """Make the directory and hold it, so that no second run writes it at the same time.

        Yields
        ------
        Path
            Where to write. When the block ends well, it is put in the place of an earlier run.
        """
        with contextlib.ExitStack() as held:
            if self.replacing and self.final.exists():
                # Nobody goes on with the earlier run while it waits to be replaced.
                held.enter_context(_hold(self.final))
            if self.path == self.replacement and not _may_be_removed(self.path):
                raise RunDirectoryError(
                    f"{self.path} is where the new run would be written before it replaces "
                    f"{self.final}, and something else is there; move it away"
                )
            held.enter_context(_hold(self.path))
            if self._state() != self._found:
                raise RunDirectoryError(
                    f"another process has worked in {self.final} in the meantime; start again"
                )
            if self.replacing and not self.resuming:
                (self.path / REPLACEMENT_MARK).touch()
                _clear(self.path)
            remove_unfinished(self.path)
            yield self.path
            if self.replacing:
                self._put_in_place()

    def _state(self) -> tuple[bool, bool, bool]:
        """Describe what is there, to notice when another process changes it."""
        return _is_unused(self.final), is_run(self.final), is_complete(self.final)

    def _put_in_place(self) -> None:
        retired = self.final.with_name(f".{self.final.name}.{os.getpid()}{RETIRED_SUFFIX}")
        try:
            if self.final.exists():
                os.replace(self.final, retired)
            os.replace(self.path, self.final)
        except BaseException as error:
            if retired.exists() and not self.final.exists():
                os.replace(retired, self.final)
            if not isinstance(error, OSError):
                raise
            raise RunDirectoryError(
                f"the new run is finished, and cannot take the place of {self.final}: "
                f"{error.strerror}; it lies in {self.path}"
            ) from error
        self.path = self.final
        self.replacing = False
        self._unmark()
        self._remove_retired()
        self._found = self._state()

    def _unmark(self) -> None:
        for name in (REPLACEMENT_MARK, LOCK):
            (self.final / name).unlink(missing_ok=True)

    def _recover(self) -> None:
        """Finish what a process had begun that was killed while it replaced the earlier run."""
        if not self._retired():
            return
        if os.path.lexists(self.final):
            if is_complete(self.final):
                self._remove_retired()
            return
        with contextlib.ExitStack() as held:
            if self.replacement.is_dir():
                held.enter_context(_hold(self.replacement))
            if os.path.lexists(self.final):  # another process was quicker
                return
            if is_complete(self.replacement):
                os.replace(self.replacement, self.final)
                self._unmark()
            else:
                newest = max(self._retired(), key=lambda entry: entry.stat().st_ctime_ns)
                os.replace(newest, self.final)

    def _retired(self) -> list[Path]:
        """List the runs that left their place for another, and were not removed yet."""
        name = re.escape(self.final.name)
        pattern = re.compile(rf"\.{name}\.\d+{re.escape(RETIRED_SUFFIX)}")
        parent = self.final.parent
        entries = parent.iterdir() if parent.is_dir() else ()
        return [entry for entry in entries if pattern.fullmatch(entry.name)]

    def _remove_retired(self) -> None:
        for entry in self._retired():
            shutil.rmtree(entry, ignore_errors=True)


@contextlib.contextmanager
def _hold(folder: Path) -> Iterator[None]:
    """Hold a directory: the system lets go of it when the process ends, in whatever way."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = open(folder / LOCK, "a+")  # noqa: SIM115 (held until the run ends)
        except OSError as error:
            raise RunDirectoryError(f"cannot write to {folder}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise RunDirectoryError(
                f"another process is working in {folder}; wait for it, or stop it"
            ) from error
        if is_open_at(lock.fileno(), folder / LOCK):
            break
        lock.close()  # whoever held it has removed it since: that is no lock any more
    try:
        yield
    finally:
        if is_open_at(lock.fileno(), folder / LOCK):
            (folder / LOCK).unlink(missing_ok=True)
        lock.close()


def _is_unused(path: Path) -> bool:
    """Whether nothing is there that a run could overwrite."""
    if not path.exists():
        return True
    try:
        return all(LEFT_BY_KILLED_PROCESSES.fullmatch(entry.name) for entry in path.iterdir())
    except OSError as error:
        raise RunDirectoryError(f"cannot read {path}: {error.strerror}") from error


def _may_be_removed(path: Path) -> bool:
    if not os.path.lexists(path):
        return True
    return path.is_dir() and not path.is_symlink() and (_is_replacement(path) or _is_unused(path))


def _is_replacement(path: Path) -> bool:
    """Whether a directory is a run that was to replace another."""
    return is_run(path) and (path / REPLACEMENT_MARK).exists()


def _clear(path: Path) -> None:
    """Remove what a directory holds; what shows that it is a run goes last."""
    last = (CONFIG, PROVENANCE)
    entries = [entry for entry in path.iterdir() if entry.name not in (LOCK, REPLACEMENT_MARK)]
    for entry in sorted(entries, key=lambda entry: (entry.name in last, entry.name)):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def is_run(path: Path) -> bool:
    """Whether a directory is a run of hessinf's."""
    return "hessinf" in _read_object(path / PROVENANCE)


def is_complete(path: Path, command: str | None = None) -> bool:
    """Whether a run was finished.

    Parameters
    ----------
    path
        The run's directory.
    command
        By which command, such as "interpret"; None for any.
    """
    metrics = _read_object(path / METRICS)
    return metrics.get("complete") is True and command in (None, metrics.get("command"))


def _read_object(file: Path) -> dict[str, Any]:
    """Read a JSON object; one that is missing or broken is empty."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _earlier_config(path: Path) -> Any:
    """Read the config that a run was started with; None when it was stopped before that."""
    file = path / CONFIG
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunDirectoryError(f"cannot read {file}: {error}") from error


def differences(earlier: Any, now: Any) -> list[str]:
    """Say where a config differs from an earlier one, in type too."""

    def same(one: Any, other: Any) -> bool:
        return bool(one == other) and type(one) is type(other)

    return [
        f"{path}: then {json.dumps(then)}, now {json.dumps(value)}"
        for path, then, value in differing_places(earlier, now, same)
    ]


def read_provenance(path: Path) -> dict[str, Any]:
    """Read ``provenance.json``; empty where there is none."""
    return _read_object(path / PROVENANCE)


def write_provenance(path: Path, provenance: dict[str, Any]) -> None:
    """Write ``provenance.json``."""
    write_json_atomically(path / PROVENANCE, provenance)
