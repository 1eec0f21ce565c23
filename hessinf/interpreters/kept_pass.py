"""``KeptPass``: the gradients of the training data, kept from one pass for the next ones."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from hessinf.gradients import FactoredGradients, Gradients

Part = tuple[Gradients, torch.Tensor]
"""Gradients of B training examples, and their losses ``[B]``."""


class KeptPass:
    """Gradients and losses of training examples, in order, while they fit into memory.

    Factors are kept as factors. Whoever goes through the training data anyway may fill it.

    Parameters
    ----------
    num_train
        N.
    memory
        How many bytes may be kept.
    """

    def __init__(self, num_train: int, memory: float) -> None:
        self.num_train = num_train
        self.memory = memory
        self.parts: list[Part] = []
        self._count = 0
        self._held = 0
        self._fits = True

    @property
    def count(self) -> int:
        """How many training examples are there so far."""
        return self._count

    @property
    def complete(self) -> bool:
        """Whether all training examples are there."""
        return self._fits and self._count == self.num_train

    @property
    def fits(self) -> bool:
        """Whether what was added so far fits: nothing is kept any more, once it does not."""
        return self._fits

    def begin(self) -> None:
        """Forget an unfinished pass, so that another one can be kept."""
        if not self.complete:
            self.parts, self._count, self._held = [], 0, 0

    def add(self, gradients: Gradients, losses: torch.Tensor) -> None:
        """Keep what the next training examples gave; nothing at all, once that is too much.

        Parameters
        ----------
        gradients
            Of B examples.
        losses
            ``[B]``.
        """
        if not self._fits or self.complete:
            return
        if isinstance(gradients, FactoredGradients):
            self._held += gradients.memory
            gradients = gradients.anew()
        else:
            self._held += gradients.flatten().nbytes
        self._count += gradients.count
        self.parts.append((gradients, losses))
        # What all of them take is told by the first ones: better not to begin than to give up late.
        if self._held * (self.num_train / self._count) > self.memory:
            self._fits, self.parts = False, []

    def iteration(self, batch_size: int | None = None) -> Iterator[Part]:
        """Go through what was kept.

        Parameters
        ----------
        batch_size
            The largest number of examples together; as they came when None.

        Yields
        ------
        tuple of Gradients and torch.Tensor
            Tensors that are formed of factors are not kept.
        """
        for gradients, losses in self.parts:
            size = batch_size or gradients.count
            for start in range(0, gradients.count, size):
                some = slice(start, start + size)
                yield gradients.select(some), losses[some]
