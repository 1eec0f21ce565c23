"""How parameters lie one after another in a flat vector of length P."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch


@dataclass(frozen=True)
class ParameterLayout:
    """Names and shapes of parameters, in order.

    Parameters
    ----------
    shapes
        The shape of each parameter, by its name.
    """

    shapes: Mapping[str, torch.Size]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many numbers each parameter has."""
        return tuple(math.prod(shape) for shape in self.shapes.values())

    @cached_property
    def size(self) -> int:
        """P, how many numbers there are together."""
        return sum(self.sizes)

    def flatten(self, tensors: Mapping[str, torch.Tensor], leading: int = 0) -> torch.Tensor:
        """Lay tensors ``[*leading, *shape]`` one after another: ``[*leading, P]``."""
        parts = [
            tensors[name].reshape(*tensors[name].shape[:leading], size)
            for name, size in zip(self.shapes, self.sizes, strict=True)
        ]
        return torch.cat(parts, dim=-1)  # [*leading, P]

    def unflatten(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Cut ``[*leading, P]`` into tensors ``[*leading, *shape]``, which are views."""
        leading = flat.shape[:-1]
        parts = torch.split(flat, list(self.sizes), dim=-1)
        return {
            name: part.reshape((*leading, *shape))
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
