"""One example: what the model sees, what it should answer, and what a person is shown."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Instance:
    """One example of a data set.

    Parameters
    ----------
    inputs
        What the model sees: a tensor, or a dict of tensors by argument name, of *one* example,
        without a batch dimension.
    target
        What it should answer: an ``int64`` scalar for a class, a floating tensor ``[T]`` for a
        regression with T outputs, an ``int64`` tensor where there is a label a position.
    id
        A string that stays the same when the data set is split, cut or reordered.
    display
        What a person is shown; JSON values only. Readers write ``{"row": {...}, "label": ...}``,
        ``{"image": [[...]], "label": ...}``, ``{"text": ..., "label": ...}``, and ``"target"``
        in the place of ``"label"`` for regressions. An empty dict is filled in by the data set.
    """

    inputs: torch.Tensor | dict[str, torch.Tensor]
    target: torch.Tensor
    id: str
    display: dict[str, Any] = field(default_factory=dict)


class InstanceSource(Sequence[Instance]):
    """Instances that are made when they are asked for."""

    @property
    @abstractmethod
    def ids(self) -> tuple[str, ...]:
        """The id of each instance."""

    @abstractmethod
    def select(self, indices: Sequence[int]) -> InstanceSource:
        """Keep the instances at ``indices``, in that order, without making them."""
