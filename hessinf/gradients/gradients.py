"""``Gradients``: one gradient an example, by block of parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

import torch

from hessinf.gradients.layout import ParameterLayout


class Gradients(Mapping[str, torch.Tensor]):
    """Gradients of B examples: a mapping from the name of a block to a tensor ``[B, *shape]``.

    Parameters
    ----------
    blocks
        The tensors, in the order of the model's parameters.
    """

    def __init__(self, blocks: Mapping[str, torch.Tensor]) -> None:
        self._blocks = dict(blocks)

    @classmethod
    def from_flat(cls, flat: torch.Tensor, layout: ParameterLayout) -> Gradients:
        """Cut a matrix ``[B, P]`` into blocks, which are views of it."""
        gradients = cls(layout.unflatten(flat))
        gradients._flat = flat
        return gradients

    _flat: torch.Tensor | None = None

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._blocks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._blocks)

    def __len__(self) -> int:
        """Count the blocks."""
        return len(self._blocks)

    @property
    def count(self) -> int:
        """B, how many examples there are."""
        return next(iter(self._blocks.values())).shape[0]

    def flatten(self) -> torch.Tensor:
        """Return all blocks side by side, ``[B, P]``."""
        if self._flat is None:
            self._flat = self._layout.flatten(self._blocks, leading=1)
        return self._flat  # [B, P]

    @cached_property
    def _layout(self) -> ParameterLayout:
        return ParameterLayout({name: block.shape[1:] for name, block in self.items()})

    def bound(self) -> torch.Tensor:
        """Return a number that is finite only where all gradients are; cheaper than looking.

        It may be infinite where they are merely huge.
        """
        return self.flatten().sum()

    def dot(self, other: Gradients) -> torch.Tensor:
        """Return the inner products with other gradients, ``[B, B']``."""
        self._require_same_blocks(other)
        return self.flatten() @ other.flatten().T  # [B, B']

    def _require_same_blocks(self, other: Gradients) -> None:
        if list(self) != list(other):
            raise KeyError(f"blocks differ: {list(self)} and {list(other)}")

    def like(self, flat: torch.Tensor) -> Gradients:
        """Cut a matrix ``[B', P]`` into blocks of the same shapes."""
        return Gradients.from_flat(flat, self._layout)

    # Two gradients are the same when they are one object: tensors have no truth value to compare.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __add__(self, other: Gradients) -> Gradients:
        self._require_same_blocks(other)
        return Gradients({name: block + other[name] for name, block in self.items()})

    def __sub__(self, other: Gradients) -> Gradients:
        self._require_same_blocks(other)
        return Gradients({name: block - other[name] for name, block in self.items()})

    def __mul__(self, factor: float) -> Gradients:
        return Gradients({name: block * factor for name, block in self.items()})

    __rmul__ = __mul__

    def __neg__(self) -> Gradients:
        return self * -1.0

    def select(self, places: slice | torch.Tensor) -> Gradients:
        """Keep some examples: a slice makes views, a tensor of places ``[B']`` copies."""
        if self._flat is not None:
            return self.like(self._flat[places])
        return Gradients({name: block[places] for name, block in self.items()})

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {list(block.shape)}" for name, block in self.items())
        return f"<Gradients: {shapes}>"
