"""``Batch``: examples side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Batch:
    """Examples side by side.

    Parameters
    ----------
    inputs
        ``[B, ...]``, or a dict of such tensors.
    targets
        ``[B, ...]``.
    indices
        ``[B]``, on the CPU: the places of the examples in their data set.
    """

    inputs: torch.Tensor | dict[str, torch.Tensor]
    targets: torch.Tensor
    indices: torch.Tensor

    @property
    def size(self) -> int:
        """How many examples there are."""
        return len(self.indices)

    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> Batch:
        """Move to a device, and floating tensors to a type; copies from pinned memory overlap."""
        # A copy that does not block is safe towards a GPU only: the CPU would read too early.
        overlapping = torch.device(device).type == "cuda"

        def move(tensor: torch.Tensor) -> torch.Tensor:
            wanted = dtype if tensor.is_floating_point() else None
            return tensor.to(device=device, dtype=wanted, non_blocking=overlapping)

        return Batch(_map(move, self.inputs), move(self.targets), self.indices)

    def select(self, places: torch.Tensor | slice) -> Batch:
        """Keep some examples: a slice makes views, a tensor of places ``[B']`` copies."""
        if isinstance(places, slice):
            return Batch(
                _map(lambda tensor: tensor[places], self.inputs),
                self.targets[places],
                self.indices[places],
            )
        there = places.to(self.targets.device)
        return Batch(
            _map(lambda tensor: tensor.index_select(0, there), self.inputs),
            self.targets.index_select(0, there),
            self.indices[places.cpu()],
        )

    def pin_memory(self) -> Batch:
        """Copy to page-locked memory, from which a GPU copies while it computes."""
        return Batch(
            _map(torch.Tensor.pin_memory, self.inputs), self.targets.pin_memory(), self.indices
        )

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Inputs and targets."""
        inputs = self.inputs.values() if isinstance(self.inputs, dict) else [self.inputs]
        return [*inputs, self.targets]

    @property
    def nbytes(self) -> int:
        """The size of inputs and targets in bytes."""
        return sum(tensor.nbytes for tensor in self.tensors)


def _map(function: Any, inputs: torch.Tensor | dict[str, torch.Tensor]) -> Any:
    if isinstance(inputs, dict):
        return {name: function(tensor) for name, tensor in inputs.items()}
    return function(inputs)
