"""A trained model with its data, and its loss written down once more."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hessinf.data import Instance

Columns = tuple[Any, torch.Tensor]
"""Inputs, a tensor ``[N, ...]`` or a dict of such by name, and targets ``[N]`` or ``[N, ...]``."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A trained model with its data.

    Parameters
    ----------
    name
        How failures call it.
    trained
        The model at its optimum, or near one; see :meth:`module`.
    train
        The training data.
    queries
        The test data.
    objective
        The training loss, as a registered name or a config.
    weight_decay
        The coefficient of ``½·wd·‖θ‖²`` that was trained with.
    losses
        From outputs ``[B, ...]`` and targets to the loss of every example, ``[B]``.
    output_hessians
        From outputs ``[B, ...]`` and targets to the second derivatives of each example's loss in
        its outputs, ``[B, n, n]``, where one example has ``n`` outputs.
    frozen
        What checks of freezing give as ``params_to_freeze``.
    lengths
        Where examples differ in length: from inputs to the length of each. What stands behind it
        in the columns is padding.
    """

    name: str
    trained: nn.Module
    train: Columns
    queries: Columns
    objective: str | Mapping[str, Any]
    weight_decay: float
    losses: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    output_hessians: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    frozen: tuple[str, ...] = (r"^0\.bias$",)
    lengths: Callable[[Any], list[int]] | None = None

    def module(self) -> nn.Module:
        """Copy the model. It is in training mode, as a caller may well leave it."""
        return copy.deepcopy(self.trained)

    @property
    def num_train(self) -> int:
        """N."""
        return len(self.train[1])

    def mean_loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of a batch, without weight decay."""
        return self.losses(outputs, targets).mean()

    def examples(self, columns: Columns) -> Iterator[Columns]:
        """Yield examples one by one, as batches of one, cut to their own length."""
        lengths = None if self.lengths is None else self.lengths(columns[0])
        for place in range(len(columns[1])):
            inputs, targets = select(columns, slice(place, place + 1))
            if lengths is None:
                yield inputs, targets
                continue
            length = lengths[place]
            cut = (
                {name: value[:, :length] for name, value in inputs.items()}
                if isinstance(inputs, dict)
                else inputs[:, :length]
            )
            yield cut, targets[:, :length]

    def instances(self, columns: Columns) -> list[Instance]:
        """Make instances, each of its own length: whoever makes a batch of them has to pad."""
        return [
            Instance(
                inputs={name: value[0] for name, value in inputs.items()}
                if isinstance(inputs, dict)
                else inputs[0],
                target=targets[0],
                id=f"example {index}",
            )
            for index, (inputs, targets) in enumerate(self.examples(columns))
        ]


def select(columns: Columns, places: Sequence[int] | torch.Tensor | slice) -> Columns:
    """Take some examples of columns: a slice, indices or a mask."""
    inputs, targets = columns
    if isinstance(inputs, dict):
        return {name: value[places] for name, value in inputs.items()}, targets[places]
    return inputs[places], targets[places]


def in_precision(columns: Columns, dtype: torch.dtype) -> Columns:
    """Round the floating numbers of columns; whole numbers and masks stay as they are."""

    def rounded(values: torch.Tensor) -> torch.Tensor:
        return values.to(dtype) if values.is_floating_point() else values

    inputs, targets = columns
    if isinstance(inputs, dict):
        return {name: rounded(value) for name, value in inputs.items()}, rounded(targets)
    return rounded(inputs), rounded(targets)


def outputs_of(module: nn.Module, inputs: Any) -> torch.Tensor:
    """Call a module as PyTorch does: with a tensor, or with a dict's tensors by name."""
    outputs: torch.Tensor = module(**inputs) if isinstance(inputs, dict) else module(inputs)
    return outputs
