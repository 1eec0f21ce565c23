"""Measuring the same examples with many networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch

from hessinf.data.batching import Batch


class Networks(Protocol):
    """Networks of one kind, called together or one after the other."""

    number: int

    @property
    def device(self) -> torch.device:
        """Where they are."""

    @property
    def dtype(self) -> torch.dtype:
        """The type that inputs need."""

    def outputs_of_all(self, inputs: Any) -> torch.Tensor:
        """Compute the outputs for the same inputs, in evaluation mode: ``[M, B, ...]``."""

    def make_module(self, row: int) -> torch.nn.Module:
        """Return a copy of one of them, on the CPU."""


def measured(
    networks: Networks,
    batch: Batch,
    measure: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Measure the same examples with every network, ``[M, B]``.

    Parameters
    ----------
    networks
        ``M`` of them.
    batch
        ``B`` examples.
    measure
        Gives a number for every example, from outputs ``[B, ...]`` and targets ``[B, ...]``: for
        any number of examples, as it is called with all models' at once.
    """
    outputs = networks.outputs_of_all(batch.inputs)  # [M, B, ...]
    targets = batch.targets.expand(len(outputs), *batch.targets.shape)  # [M, B, ...]
    values = measure(outputs.flatten(0, 1), targets.flatten(0, 1))  # [M B]
    return values.reshape(outputs.shape[:2])


def parts(batch: Batch, size: int) -> Iterator[Batch]:
    """Cut a batch into smaller ones."""
    for start in range(0, batch.size, size):
        yield batch.select(slice(start, start + size))
