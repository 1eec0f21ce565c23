"""Batches: examples stacked into tensors, padded where their lengths differ, moved to a device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader

from hessinf.data.dataset import Dataset
from hessinf.data.errors import DataError
from hessinf.data.instance import Instance

TARGET_PADDING = -100
"""What integer targets of one position each are padded with: cross-entropy's ``ignore_index``."""

ASSEMBLED_BYTES = 1 << 30
"""Data sets up to this size are stacked once and kept; larger ones are read batch by batch."""


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
    def nbytes(self) -> int:
        """The size of inputs and targets in bytes."""
        tensors = self.inputs.values() if isinstance(self.inputs, dict) else [self.inputs]
        return sum(tensor.nbytes for tensor in [*tensors, self.targets])


def _map(function: Any, inputs: torch.Tensor | dict[str, torch.Tensor]) -> Any:
    if isinstance(inputs, dict):
        return {name: function(tensor) for name, tensor in inputs.items()}
    return function(inputs)


def collate(instances: Sequence[Instance], indices: Sequence[int] | None = None) -> Batch:
    """Stack instances; where their first dimension differs, pad to the longest.

    Inputs are padded with zeros, masks among dict inputs too, integer targets with
    :data:`TARGET_PADDING`.

    Parameters
    ----------
    instances
        At least one.
    indices
        Their places in the data set; counted from 0 when left out.

    Raises
    ------
    DataError
        When there are no instances, when shapes differ in more than the first dimension, or dict
        inputs in their keys.
    """
    if not instances:
        raise DataError("a batch needs at least one example, found none")
    places = torch.as_tensor(
        list(range(len(instances)) if indices is None else indices), dtype=torch.int64
    )  # [B]
    first = instances[0].inputs
    inputs: torch.Tensor | dict[str, torch.Tensor]
    if isinstance(first, dict):
        for instance in instances:
            if not isinstance(instance.inputs, dict) or instance.inputs.keys() != first.keys():
                raise DataError(
                    f'the inputs of "{instance.id}" differ from those of "{instances[0].id}": '
                    f"expected a dict with {', '.join(sorted(first))}"
                )
        inputs = {
            name: _stack(
                [x.inputs[name] for x in instances],  # type: ignore[index]
                instances,
                0,
                f'input "{name}"',
            )
            for name in first
        }
    else:
        for instance in instances:
            if isinstance(instance.inputs, dict):
                raise DataError(
                    f'the inputs of "{instance.id}" are a dict, those of "{instances[0].id}" a '
                    "tensor: expected the same kind everywhere"
                )
        inputs = _stack([x.inputs for x in instances], instances, 0, "inputs")
    targets = _stack([x.target for x in instances], instances, TARGET_PADDING, "target")
    return Batch(inputs, targets, places)


def _stack(
    tensors: Sequence[Any], instances: Sequence[Instance], padding: int, what: str
) -> torch.Tensor:
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) == 1:
        return torch.stack(list(tensors))  # [B, ...]
    tails = {shape[1:] for shape in shapes}
    ranks = {len(shape) for shape in shapes}
    floating_target = what == "target" and tensors[0].is_floating_point()
    if len(ranks) > 1 or len(tails) > 1 or 0 in ranks or floating_target:
        other = next(place for place, x in enumerate(tensors) if x.shape != tensors[0].shape)
        raise DataError(
            f'the {what} of "{instances[other].id}" has shape {list(tensors[other].shape)}, that '
            f'of "{instances[0].id}" {list(tensors[0].shape)}: expected shapes that differ at most '
            "in the first dimension, which is padded"
        )
    return torch.nn.utils.rnn.pad_sequence(
        list(tensors), batch_first=True, padding_value=padding
    )  # [B, longest, ...]


class Batches:
    """A data set, batch by batch, in its own order, as often as one likes.

    Small data sets are stacked once, and batches are views of that; larger ones, and those whose
    examples differ in length, are read anew each time by a :class:`torch.utils.data.DataLoader`.

    Parameters
    ----------
    dataset
        What to read.
    batch_size
        Examples in a batch; the last one may have fewer.
    device, dtype
        Where batches go, and the type of their floating tensors.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, found {batch_size}")
        self.dataset = dataset
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.dtype = dtype
        self._whole: Batch | None = None
        columns = dataset.columns
        if columns is not None:
            whole = Batch(columns.inputs, columns.targets, torch.arange(len(dataset)))
            if whole.nbytes <= ASSEMBLED_BYTES:
                self._whole = whole.to(self.device, dtype)
        elif len(dataset) and self._fits():
            self._whole = collate(list(dataset)).to(self.device, dtype)

    def _fits(self) -> bool:
        """Whether all examples have one shape and are small enough together to be kept."""
        shapes = set()
        size = 0
        for instance in self.dataset:
            inputs = instance.inputs
            tensors = list(inputs.values()) if isinstance(inputs, dict) else [inputs]
            shapes.add(tuple(tuple(tensor.shape) for tensor in [*tensors, instance.target]))
            size += sum(tensor.nbytes for tensor in [*tensors, instance.target])
            if len(shapes) > 1 or size > ASSEMBLED_BYTES:
                return False
        return True

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        if self._whole is not None:
            for start in range(0, len(self.dataset), self.batch_size):
                yield self._whole.select(slice(start, start + self.batch_size))
            return
        loader: DataLoader[Batch] = DataLoader(
            range(len(self.dataset)),  # type: ignore[arg-type]
            batch_size=self.batch_size,
            collate_fn=self._read,
            pin_memory=self.device.type == "cuda",
            # A loader draws a number each time; the caller's generator is not ours to advance.
            generator=torch.Generator(),
        )
        for batch in loader:
            yield batch.to(self.device, self.dtype)

    def _read(self, places: Sequence[int]) -> Batch:
        return collate([self.dataset[place] for place in places], places)

    def select(self, places: torch.Tensor) -> Batch:
        """Assemble a batch of chosen examples, ``places`` ``[B]`` being on the CPU."""
        if self._whole is not None:
            return self._whole.select(places)
        return self._read(places.tolist()).to(self.device, self.dtype)


def batches(
    dataset: Dataset,
    batch_size: int,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> Batches:
    """Read a data set batch by batch; see :class:`Batches`."""
    return Batches(dataset, batch_size, device, dtype)
