"""Where the examples of a batch lie in a tensor of a forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class ExampleAxis:
    """The dimension along which examples lie, alone or together with positions.

    Parameters
    ----------
    dimension
        Of the tensor.
    outer
        Whether examples vary slowest in a dimension that holds their positions too
        (``[B·S, ...]``), not fastest (``[S·B, ...]``).
    """

    dimension: int
    outer: bool = True

    def to_front(self, tensor: torch.Tensor, count: int, leading: int = 0) -> torch.Tensor:
        """Bring examples to the front.

        Parameters
        ----------
        tensor
            ``[*leading, *shape]``.
        count
            B.
        leading
            How many dimensions stand before those that ``dimension`` counts.

        Returns
        -------
        torch.Tensor
            ``[*leading, B, ...]``, of as many dimensions as before and one more: what else the
            dimension held stays where it was (of size 1, where it held examples only).
        """
        place = leading + self.dimension
        rest = tensor.shape[place] // count
        sizes = (count, rest) if self.outer else (rest, count)
        split = tensor.reshape(*tensor.shape[:place], *sizes, *tensor.shape[place + 1 :])
        return split.movedim(place if self.outer else place + 1, leading)

    def fits(self, shape: Sequence[int], count: int) -> bool:
        """Whether examples can lie so in a tensor of this shape."""
        return self.dimension < len(shape) and shape[self.dimension] % count == 0


def separates(
    axis: ExampleAxis, gradients: torch.Tensor, places: Sequence[int], count: int
) -> bool:
    """Whether examples can lie so, by what the outputs of some of them alone depend on.

    Parameters
    ----------
    axis
        Where they may lie.
    gradients
        ``[K, *shape]``: of outputs of one example each.
    places
        Those K examples.
    count
        B.
    """
    if not axis.fits(gradients.shape[1:], count):
        return False
    parts = axis.to_front(gradients, count, leading=1).flatten(2)  # [K, B, ...]
    reached = (parts != 0).any(dim=2)  # [K, B]
    reached[torch.arange(len(places)), torch.as_tensor(places)] = False
    return not bool(reached.any())


def find_axis(
    gradients: torch.Tensor, places: Sequence[int], count: int, dimensions: Sequence[int]
) -> ExampleAxis | None:
    """Find where examples lie, among some dimensions; see :func:`separates`."""
    candidates = [ExampleAxis(place, outer) for place in dimensions for outer in (True, False)]
    for axis in candidates:
        if separates(axis, gradients, places, count):
            return axis
    return None
