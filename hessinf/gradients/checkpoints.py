"""Activation checkpointing, switched off while derivatives are taken.

A checkpoint runs forward again in the middle of a backward pass. That saves memory in training, and
is in the way of derivatives: the reentrant kind gives parameters no gradient where its inputs have
none, and neither kind can be batched. What is computed is the same without.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch.utils.checkpoint as checkpointing

GENERATOR = "_checkpoint_without_reentrant_generator"
"""What runs around a function that a checkpoint of the kind that is not reentrant calls."""


class _Checkpoints:
    """Switches activation checkpointing off, and on again when the last one who wanted so ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._generator: Callable[..., Iterator[None]] | None = None

    @contextlib.contextmanager
    def switched_off(self) -> Iterator[None]:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._generator = getattr(checkpointing, GENERATOR, None)
                if self._generator is not None:  # a private name: other versions may lack it
                    setattr(checkpointing, GENERATOR, _yield_once)
                vars(checkpointing)["CheckpointFunction"].apply = staticmethod(_run_checkpointed)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    if self._generator is not None:
                        setattr(checkpointing, GENERATOR, self._generator)
                    delattr(checkpointing.CheckpointFunction, "apply")


def _yield_once(*_: Any, **__: Any) -> Iterator[None]:
    yield


def _run_checkpointed(function: Callable[..., Any], _: bool, *args: Any) -> Any:
    return function(*args)


without_checkpoints = _Checkpoints().switched_off
"""A context in which checkpointed functions keep what they compute, as others do."""
