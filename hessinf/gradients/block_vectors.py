"""``BlockVectors``: many vectors in θ, the numbers of each parameter lying together."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from hessinf.gradients.layout import ParameterLayout


class BlockVectors:
    """K vectors of P numbers, stored parameter after parameter, not vector after vector.

    A layer's part of all K is then one matrix ``[K·O, I]``, so that products with it are single
    large ones. What treats all numbers alike (sums, multiples, running means) works on
    :attr:`numbers` as it would on rows.

    Parameters
    ----------
    layout
        Of a vector.
    numbers
        ``[K·P]``, contiguous.
    """

    def __init__(self, layout: ParameterLayout, numbers: torch.Tensor) -> None:
        self.layout = layout
        self.numbers = numbers
        self.count = len(numbers) // layout.size if layout.size else 0
        """K."""
        parts = torch.split(numbers, [self.count * size for size in layout.sizes])
        self.blocks: Mapping[str, torch.Tensor] = {
            name: part.view(self.count, *shape)
            for (name, shape), part in zip(layout.shapes.items(), parts, strict=True)
        }
        """``[K, *shape]`` by parameter name, views of the numbers."""

    @classmethod
    def of_rows(cls, rows: torch.Tensor, layout: ParameterLayout) -> BlockVectors:
        """Copy a matrix ``[K, P]``."""
        found = cls(layout, rows.new_empty(rows.numel()))
        for name, part in layout.unflatten(rows).items():
            found.blocks[name].copy_(part)
        return found

    def zeros(self) -> BlockVectors:
        """Make as many vectors of zeros."""
        return BlockVectors(self.layout, torch.zeros_like(self.numbers))

    def like(self, numbers: torch.Tensor) -> BlockVectors:
        """See other numbers ``[K·P]`` as vectors in the same places."""
        return BlockVectors(self.layout, numbers)

    def rows(self, out: torch.Tensor | None = None) -> torch.Tensor:
        """Copy to a matrix ``[K, P]``: a new one, or ``out``, of any precision."""
        if out is None:
            out = self.numbers.new_empty(self.count, self.layout.size)
        for name, part in self.layout.unflatten(out).items():
            part.copy_(self.blocks[name])
        return out

    def add_to(self, rows: torch.Tensor) -> None:
        """Add to a matrix ``[K, P]``, of any precision."""
        for name, part in self.layout.unflatten(rows).items():
            part.add_(self.blocks[name])

    def norms(self) -> torch.Tensor:
        """Return the length of each vector, ``[K]``."""
        lengths = [
            block.view(self.count, size).norm(dim=1)
            for block, size in zip(self.blocks.values(), self.layout.sizes, strict=True)
        ]
        found: torch.Tensor = torch.stack(lengths).norm(dim=0)  # [K]
        return found
