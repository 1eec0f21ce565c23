"""Batches on their way to a device, so that a GPU computes on one while the next is copied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

from hessinf.data.batch import Batch

Source = TypeVar("Source")
Started = TypeVar("Started")


def transferred(
    batches: Iterable[Batch], device: torch.device, dtype: torch.dtype | None
) -> Iterator[Batch]:
    """Move batches to a device, and floating tensors to a type.

    To a GPU they go one ahead: from page-locked memory, on a stream of their own, while the one
    before is worked on. At most two of them are there at a time.

    Parameters
    ----------
    batches
        On the CPU; each is read when the one before is under way.
    device, dtype
        Where they go, and the type of their floating tensors; None keeps it.
    """
    if device.type != "cuda":
        return (batch.to(device, dtype) for batch in batches)
    copies = _Copies(device, dtype)
    return one_ahead(batches, copies.start, copies.finish)


def one_ahead(
    sources: Iterable[Source],
    start: Callable[[Source], Started],
    finish: Callable[[Started], Source],
) -> Iterator[Source]:
    """Go through things, the next one of which is started before each is handed out.

    Parameters
    ----------
    sources
        What to go through.
    start
        Begins something, and does not wait for its end.
    finish
        Makes a thing that was begun ready for use.
    """
    before: list[Started] = []
    for source in sources:
        before.append(start(source))
        if len(before) > 1:
            yield finish(before.pop(0))
    for started in before:
        yield finish(started)


class _Copies:
    """Copies batches to a GPU on a stream of their own."""

    def __init__(self, device: torch.device, dtype: torch.dtype | None) -> None:
        self.device = device
        self.dtype = dtype
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def start(self, batch: Batch) -> tuple[Batch, torch.cuda.Event | None]:
        """Begin a copy; the allocator of pinned memory keeps that until the copy is done."""
        if any(tensor.device.type != "cpu" for tensor in batch.tensors):
            return batch.to(self.device, self.dtype), None  # in order with what made them
        with torch.cuda.stream(self.stream):
            moved = batch.pin_memory().to(self.device, self.dtype)
            return moved, self.stream.record_event()

    def finish(self, started: tuple[Batch, torch.cuda.Event | None]) -> Batch:
        """Let the current stream wait for a copy; the CPU does not."""
        batch, done = started
        if done is not None:
            current = torch.cuda.current_stream(self.device)
            current.wait_event(done)
            for tensor in batch.tensors:
                # It is the copying stream's memory, which must not be used again before this ends.
                tensor.record_stream(current)
        return batch
