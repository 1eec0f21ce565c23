"""``ShownSpectrum``: the eigenvalues of a curvature, thinned out to what a plot can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

FIRST = 100
"""So many of the largest eigenvalues of a block are all shown."""

MOST = 1000
"""Points of a block."""


@dataclass(frozen=True, eq=False)
class SpectrumBlock:
    """The eigenvalues of a block of the curvature.

    Parameters
    ----------
    name
        The block.
    size
        How many eigenvalues it has.
    damping
        The λ that was added.
    eigenvalues
        The known ones, in any order and shape: undamped, weight decay included.
    """

    name: str
    size: int
    damping: float
    eigenvalues: torch.Tensor

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object: the eigenvalues, the largest first, with their ranks from 1 on."""
        ordered = self.eigenvalues.flatten().double().sort(descending=True).values  # [K]
        ranks = shown_ranks(len(ordered))
        return {
            "name": self.name,
            "count": self.size,
            "damping": self.damping,
            "ranks": ranks,
            "eigenvalues": ordered[torch.tensor(ranks, device=ordered.device) - 1].tolist(),
        }


@dataclass(frozen=True, eq=False)
class ShownSpectrum:
    """The eigenvalues of a curvature, block by block.

    Parameters
    ----------
    curvature
        Whose, in words.
    complete
        Whether all are known; otherwise the largest only.
    blocks
        What it is made of.
    """

    curvature: str
    complete: bool
    blocks: Sequence[SpectrumBlock]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object for ``spectrum.json``."""
        return {
            "curvature": self.curvature,
            "complete": self.complete,
            "blocks": [block.to_json() for block in self.blocks],
        }


def shown_ranks(count: int) -> list[int]:
    """Choose ranks from 1 to ``count``: the first 100, and beyond as many to each doubling.

    Parameters
    ----------
    count
        How many there are.

    Returns
    -------
    list of int
        At most 1,000, ascending, the last one among them.
    """
    if count <= MOST:
        return list(range(1, count + 1))
    steps = MOST - FIRST
    beyond = [round(FIRST * (count / FIRST) ** (step / steps)) for step in range(1, steps + 1)]
    return [*range(1, FIRST + 1), *sorted({rank for rank in beyond if rank > FIRST})]
