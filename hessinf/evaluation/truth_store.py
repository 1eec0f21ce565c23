"""Where ground truth is kept: by a hash of everything that decides it, never as a pickle.

A finished truth is ``KIND-KEY.npz`` with ``KIND-KEY.json`` beside it, which says in full what the
key is a hash of. While it is made, its parts lie in ``KIND-KEY.parts/``; a killed run goes on with
them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.evaluation.errors import EvaluationError
from hessinf.runtime.file_lock import holding
from hessinf.runtime.files import remove_unfinished, write_atomically, write_json_atomically
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")

KEY_DIGITS = 16


def content_key(kind: str, identity: Mapping[str, Any]) -> tuple[str, str]:
    """Return what decides a result as canonical JSON, and a short hash of it.

    Parameters
    ----------
    kind
        What the result is.
    identity
        Everything that decides it, as JSON.
    """
    canonical = json.dumps(identity, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return canonical, hashlib.sha256(f"{kind}\n{canonical}".encode()).hexdigest()[:KEY_DIGITS]


class TruthStore:
    """A directory of ground truths.

    Parameters
    ----------
    directory
        Where they lie; made before the first one is. Several runs may share it, at one time too:
        what one makes, the others wait for.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory).expanduser()

    def require_place(self) -> None:
        """Refuse, before a long run, a directory that cannot be made.

        Raises
        ------
        EvaluationError
            When a file is in the way, or nothing may be written there. A directory that is there
            may have all that is needed, so that it need not be writable.
        """
        for place in (self.directory, *self.directory.parents):
            if not os.path.lexists(place):
                continue
            if not place.is_dir():
                raise EvaluationError(
                    f"{self.directory} cannot be a directory for ground truth: {place} is a file; "
                    "name another directory"
                )
            if place != self.directory and not os.access(place, os.W_OK):
                raise EvaluationError(
                    f"{self.directory} cannot be a directory for ground truth: nothing may be "
                    f"written in {place}; name another directory"
                )
            return

    def produce(
        self,
        kind: str,
        identity: Mapping[str, Any],
        make: Callable[[TruthParts], dict[str, np.ndarray]],
    ) -> dict[str, np.ndarray]:
        """Return a truth that was kept, or make it and keep it.

        Parameters
        ----------
        kind
            What it is, such as "subset-retraining".
        identity
            Everything that decides it, as JSON: the recipe of models, fingerprints of data, seeds,
            counts, and a version of the code that makes it.
        make
            Called where it is not there yet, with the parts that an earlier attempt has finished.

        Returns
        -------
        dict of str to numpy.ndarray
            As they were written: a truth just made is read back.
        """
        canonical, key = content_key(kind, identity)
        file = self.directory / f"{kind}-{key}.npz"
        if not file.exists():
            with self._held(file.with_suffix(".lock")):
                if not file.exists():  # another process may have made it while this one waited
                    parts = TruthParts(self.directory / f"{kind}-{key}.parts")
                    arrays = make(parts)
                    write_json_atomically(file.with_suffix(".json"), json.loads(canonical))
                    write_atomically(file, _packed(arrays))
                    parts.remove()
        return _read(file)

    @contextlib.contextmanager
    def _held(self, lock: Path) -> Iterator[None]:
        with contextlib.ExitStack() as held:
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
                held.enter_context(holding(lock))
            except OSError as error:
                raise EvaluationError(
                    f"ground truth cannot be written to {self.directory} ({error.strerror}); name "
                    'another directory ("evaluation": {"ground_truth": ...})'
                ) from error
            yield


class Arrays(dict[str, "np.ndarray"]):
    """Arrays that were read from a file, by name.

    Parameters
    ----------
    file
        The file.
    arrays
        What it holds.
    """

    def __init__(self, file: Path, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__(arrays)
        self.file = file

    def __missing__(self, name: str) -> np.ndarray:
        """Say which file lacks what: somebody has put another one in its place."""
        raise EvaluationError(
            f'{self.file} has no array "{name}" (it has: {", ".join(self) or "nothing"}); remove '
            "it, and it will be made again"
        )


class TruthParts:
    """Finished parts of a truth that is being made.

    Parameters
    ----------
    directory
        Where they lie; made when the first one is written.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        if directory.exists():
            remove_unfinished(directory)

    def __contains__(self, part: int) -> bool:
        return self._file(part).exists()

    def add(self, part: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a finished part."""
        self.directory.mkdir(parents=True, exist_ok=True)
        write_atomically(self._file(part), _packed(arrays))

    def get(self, part: int) -> dict[str, np.ndarray]:
        """Read a part."""
        return _read(self._file(part))

    def all(self, count: int) -> Iterator[dict[str, np.ndarray]]:
        """Read parts 0 to ``count`` - 1."""
        return map(self.get, range(count))

    def finished(self, among: Iterable[int]) -> set[int]:
        """Return which of some parts are there."""
        return {part for part in among if part in self}

    def remove(self) -> None:
        """Remove all parts, once the whole is written."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _file(self, part: int) -> Path:
        return self.directory / f"{part:06d}.npz"


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return an ``.npz`` file; the same arrays give the same bytes."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def _read(file: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return Arrays(file, {name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise EvaluationError(
            f"{file} cannot be read ({error}); remove it, and it will be made again"
        ) from error
