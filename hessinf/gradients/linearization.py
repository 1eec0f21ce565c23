"""``Linearization``: what products with the curvature of some examples need, computed once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch

from hessinf.gradients.block_vectors import BlockVectors
from hessinf.runtime.float32_products import float32_products

CACHED_NUMBERS = 1 << 18
"""Of a tile of examples × vectors × features on a CPU: what follows one after another on a tile
stays in its cache. Measured on two MLPs, float32 and float64: from a quarter to twice as much there
is no difference of more than a tenth."""

ROWS_TOGETHER = 128
"""Examples × positions in such a tile, unless there are few vectors: enough for matrix products at
full speed."""

LARGEST_TILE = 1 << 26
"""Numbers in a tile elsewhere: it is to keep a whole GPU busy, and to fit."""


class NotLinearizableError(RuntimeError):
    """The model has something that no linearization of this kind knows."""


class Linearization(ABC):
    """The curvature of some examples' losses at fixed θ: products need the model no more.

    Parameters
    ----------
    size
        B, how many examples.
    widest
        How many numbers an example has in the widest layer, for one vector.
    device
        Where it is kept.
    positions
        At how many positions of an example layers are used.
    """

    def __init__(self, size: int, widest: int, device: torch.device, positions: int = 1) -> None:
        self.size = size
        self.widest = widest
        self.device = device
        self.positions = positions

    def add_products(self, vectors: BlockVectors, into: BlockVectors, factor: float = 1.0) -> None:
        """Multiply, and add what comes out to other vectors.

        Parameters
        ----------
        vectors
            K vectors v.
        into
            Others, to which ``factor · Σ_b C_b v_k`` is added.
        factor
            A number.
        """
        examples, together = self._tile(vectors.count)
        with float32_products():
            for start in range(0, vectors.count, together):
                chosen = slice(start, start + together)
                given = {name: block[chosen] for name, block in vectors.blocks.items()}
                summed = {name: block[chosen] for name, block in into.blocks.items()}
                self._add(given, summed, factor, examples)

    def _tile(self, count: int) -> tuple[int, int]:
        """Say how many examples and vectors to take together, so that they stay in a cache."""
        on_cpu = self.device.type == "cpu"
        pairs = max((CACHED_NUMBERS if on_cpu else LARGEST_TILE) // self.widest, 1)
        examples = min(max(self.size, 1), max(ROWS_TOGETHER // self.positions, 1))
        # Not parts of about one size: libraries keep code for each shape that they have met.
        together = max(min(pairs // examples, count), 1)
        return max(pairs // together, examples), together

    @abstractmethod
    def _add(
        self,
        vectors: Mapping[str, torch.Tensor],
        into: Mapping[str, torch.Tensor],
        factor: float,
        examples: int,
    ) -> None:
        """Do the same for few vectors ``[K, *shape]``, some ``examples`` at a time."""

    def select(self, places: torch.Tensor) -> Self:
        """Keep some examples, ``places`` ``[B']``; they are copied."""
        there = places.to(self.device)
        return self._with([self], lambda parts: parts[0].index_select(0, there))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Put the examples of several side by side.

        Raises
        ------
        NotLinearizableError
            When the model did different things with them.
        """
        first = parts[0]
        if len(parts) == 1:
            return first
        if any(part._plan != first._plan for part in parts):
            raise NotLinearizableError("the model goes different ways")
        return first._with(parts, torch.cat)

    @property
    @abstractmethod
    def _plan(self) -> object:
        """Say what the model did, whatever the examples."""

    @abstractmethod
    def _with(self, parts: Sequence[Self], join: Callable[[Any], torch.Tensor]) -> Self:
        """Make one of the tensors of all parts, joined."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """How much is held."""
