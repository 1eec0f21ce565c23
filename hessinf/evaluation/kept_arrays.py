"""Arrays that were computed once: as ``.npy`` files by a hash of what decides them, or in memory.

``KIND-KEY.npy`` holds the numbers, ``KIND-KEY.json`` says what the key is a hash of, and what was
found out beside the numbers. The ``.npy`` is written last: where it is, both are whole.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.truth_store import content_key
from hessinf.runtime.files import remove_unfinished, write_atomically, write_json_atomically
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy_import("numpy")


@dataclass(frozen=True, eq=False)
class Kept:
    """An array, and what was found out beside it.

    Parameters
    ----------
    array
        The numbers.
    facts
        JSON.
    """

    array: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)


class KeptArrays:
    """A place for arrays.

    Parameters
    ----------
    folder
        Where the files lie; made when the first one is written. None keeps arrays in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._memory: dict[str, Kept] = {}
        if folder is not None and folder.exists():
            remove_unfinished(folder)

    def produce(self, kind: str, identity: Mapping[str, Any], make: Callable[[], Kept]) -> Kept:
        """Return an array that was kept, or make it and keep it.

        Parameters
        ----------
        kind
            What it is, such as "scores": the beginning of the file's name.
        identity
            Everything that decides it, as JSON.
        make
            Called where it is not there yet.
        """
        canonical, key = content_key(kind, identity)
        name = f"{kind}-{key}"
        if self.folder is None:
            if name not in self._memory:
                self._memory[name] = make()
            return self._memory[name]
        file = self.folder / f"{name}.npy"
        if not file.exists():
            made = make()
            self.folder.mkdir(parents=True, exist_ok=True)
            record = {"decided_by": json.loads(canonical), "facts": made.facts}
            write_json_atomically(file.with_suffix(".json"), record)
            content = io.BytesIO()
            np.save(content, made.array, allow_pickle=False)
            write_atomically(file, content.getvalue())
        return _read(file)


def _read(file: Path) -> Kept:
    try:
        record = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        return Kept(np.load(file, allow_pickle=False), record["facts"])
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{file} cannot be read ({error}); remove it, and it will be computed again"
        ) from error
