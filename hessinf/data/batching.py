"""Batches: examples stacked into tensors, padded where their lengths differ, moved to a device."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from hessinf.data.batch import Batch
from hessinf.data.dataset import Dataset
from hessinf.data.errors import DataError
from hessinf.data.instance import Instance
from hessinf.data.transfers import transferred

__all__ = ["Batch", "Batches", "batches", "collate"]

TARGET_PADDING = -100
"""What integer targets of one position each are padded with: cross-entropy's ``ignore_index``."""

ASSEMBLED_BYTES = 1 << 30
"""Data sets up to this size are stacked once and kept; larger ones are read batch by batch."""


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
    examples differ in length, are read anew each time, on the way to a GPU one ahead.

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
        columns = dataset.stacked
        if columns is not None:
            whole = Batch(columns.inputs, columns.targets, torch.arange(len(dataset)))
            if whole.nbytes <= ASSEMBLED_BYTES:
                self._whole = whole.to(self.device, dtype)
        else:
            instances = _alike(dataset)
            if instances:
                self._whole = collate(instances).to(self.device, dtype)

    def sized(self, batch_size: int) -> Batches:
        """Return the same data in batches of another size, without reading them again."""
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, found {batch_size}")
        other = copy.copy(self)
        other.batch_size = batch_size
        return other

    @property
    def assembled(self) -> bool:
        """Whether all examples lie side by side, so that batches of any size cost nothing."""
        return self._whole is not None

    @property
    def whole(self) -> Batch | None:
        """All examples as one batch on the device, where they lie side by side; else None."""
        return self._whole

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        if self._whole is not None:
            for start in range(0, len(self.dataset), self.batch_size):
                yield self._whole.select(slice(start, start + self.batch_size))
            return
        starts = range(0, len(self.dataset), self.batch_size)
        read = (self._read(range(start, start + self.batch_size)) for start in starts)
        yield from transferred(read, self.device, self.dtype)

    def _read(self, places: Sequence[int]) -> Batch:
        """Assemble a batch on the CPU; places beyond the last example are left out."""
        columns = self.dataset.columns
        if columns is None:
            instances = self.dataset.instances
            places = [place for place in places if place < len(instances)]
            return collate([instances[place] for place in places], places)
        whole = Batch(columns.inputs, columns.targets, torch.arange(len(columns)))
        if isinstance(places, range):
            return whole.select(slice(places.start, places.stop))
        return whole.select(torch.as_tensor(places))

    def select(self, places: torch.Tensor) -> Batch:
        """Assemble a batch of chosen examples, ``places`` ``[B]`` being on the CPU."""
        if self._whole is not None:
            return self._whole.select(places)
        return self._read(places.tolist()).to(self.device, self.dtype)


def _alike(dataset: Dataset) -> list[Instance] | None:
    """Read all examples, each once; None where shapes differ or they are too large to be kept."""
    instances = []
    shapes = set()
    size = 0
    for instance in dataset.instances:
        inputs = instance.inputs
        tensors = list(inputs.values()) if isinstance(inputs, dict) else [inputs]
        shapes.add(tuple(tuple(tensor.shape) for tensor in [*tensors, instance.target]))
        size += sum(tensor.nbytes for tensor in [*tensors, instance.target])
        if len(shapes) > 1 or size > ASSEMBLED_BYTES:
            return None
        instances.append(instance)
    return instances


def batches(
    dataset: Dataset,
    batch_size: int,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> Batches:
    """Read a data set batch by batch; see :class:`Batches`."""
    return Batches(dataset, batch_size, device, dtype)
