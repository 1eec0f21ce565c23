"""A data set's fingerprint: the same for the same examples, however they were made.

Inputs and targets are streams of bytes, one example after the other, so that a whole tensor and
its rows one by one give the same digest. Shapes and types go into a stream of their own, as runs
of equal ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch

    from hessinf.data.examples import Examples
else:
    torch = lazy_import("torch")


class _Runs:
    """Hashes a sequence of short texts as (text, how often in a row)."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._text, self._count = "", 0

    def add(self, text: str, count: int) -> None:
        if text != self._text:
            self._close()
            self._text = text
        self._count += count

    def _close(self) -> None:
        if self._count:
            self._digest.update(f"{self._count}*{self._text}\n".encode())
        self._count = 0

    def hexdigest(self) -> str:
        self._close()
        return self._digest.hexdigest()


class _Stream:
    """Hashes the tensors that all examples have under one name."""

    def __init__(self) -> None:
        self._layout = _Runs()
        self._content = hashlib.sha256()

    def add(self, rows: torch.Tensor) -> None:
        """Add the rows of ``[n, ...]``."""
        self._layout.add(f"{rows.dtype}{list(rows.shape[1:])}", len(rows))
        # reshape first: a scalar's bytes cannot be viewed.
        flat = rows.detach().cpu().contiguous().reshape(-1)
        self._content.update(flat.view(torch.uint8).numpy().data)

    def digests(self) -> list[str]:
        return [self._layout.hexdigest(), self._content.hexdigest()]


def fingerprint(dataset: Examples) -> str:
    """Hash the shapes, types and bytes of inputs and targets, and the ids.

    Parameters
    ----------
    dataset
        What to hash; every example is read once.

    Returns
    -------
    str
        A sha256 digest, 64 hexadecimal digits.
    """
    streams: dict[str, _Stream] = {}
    keys = _Runs()

    def add(inputs: Mapping[str, torch.Tensor], targets: torch.Tensor) -> None:
        keys.add(json.dumps(sorted(inputs)), len(targets))
        for name, rows in [("target", targets), *((f"inputs.{k}", x) for k, x in inputs.items())]:
            streams.setdefault(name, _Stream()).add(rows)

    columns = dataset.columns
    if columns is not None:
        inputs = columns.inputs if isinstance(columns.inputs, dict) else {"": columns.inputs}
        if len(columns):
            add(inputs, columns.targets)
        ids = list(columns.ids)
    else:
        ids = []
        for instance in dataset.instances:
            one = instance.inputs if isinstance(instance.inputs, dict) else {"": instance.inputs}
            add({key: x[None] for key, x in one.items()}, instance.target[None])
            ids.append(instance.id)
    summary = {
        "ids": hashlib.sha256(json.dumps(ids).encode()).hexdigest(),
        "keys": keys.hexdigest(),
        "streams": {name: stream.digests() for name, stream in sorted(streams.items())},
    }
    return hashlib.sha256(json.dumps(summary, sort_keys=True).encode()).hexdigest()
