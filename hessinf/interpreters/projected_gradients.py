"""Gradients of which only the coordinates in a few directions are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from hessinf.gradients import Gradients, ParameterLayout


class ProjectedGradients(Gradients):
    """Coordinates of B gradients; the gradients themselves are computed for those who ask.

    Parameters
    ----------
    coordinates
        ``[B, R]``.
    layout
        Of the gradients.
    whole
        Computes them, ``[B, P]``.
    """

    def __init__(
        self,
        coordinates: torch.Tensor,
        layout: ParameterLayout,
        whole: Callable[[], torch.Tensor],
    ) -> None:
        self.coordinates = coordinates
        self._layout = layout
        self._whole = whole

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._layout.unflatten(self.flatten())[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout.shapes)

    def __len__(self) -> int:
        """Count the blocks."""
        return len(self._layout.shapes)

    @property
    def count(self) -> int:
        """B, how many examples there are."""
        return len(self.coordinates)

    def flatten(self) -> torch.Tensor:
        """Compute the gradients, ``[B, P]``."""
        if self._flat is None:
            self._flat = self._whole()
        return self._flat

    def select(self, places: slice | torch.Tensor) -> Gradients:
        """Keep some examples."""
        return ProjectedGradients(
            self.coordinates[places], self._layout, lambda: self.flatten()[places]
        )
