"""Which positions of a layer count in the mean over its inputs, one of K-FAC's two factors.

Padding must not count: results would depend on what an example is batched with. It shows as
positions without any gradient. So do units that are off, behind a ReLU, and tokens whose prediction
is not asked for, and these are as much part of the mean as others. Hence a layer is not judged by
its own gradient alone:

- A layer without a dimension of positions, as behind a pooling, counts for every example.
- A convolution over two or three dimensions counts at all positions.
- A linear layer or an embedding counts at tokens that have a gradient, in any column of the Fisher,
  in any layer of a sequence with as many positions. Padding has none in any; what is off in one
  layer, or has no target of its own, has in another.
- A convolution over one dimension counts at all positions but the last ones: those that have no
  gradient in any layer of a sequence with as many positions, with none after them that has.
- An embedding does not count where its ``padding_idx`` is looked up, a row that gets no gradient.

Layers of a sequence are all of the third and fourth kind, of θ, in one forward pass. Positions are
told apart by their number, and taken to be in one order: two sequences of one model, as an
encoder's and a decoder's, are taken for one in a batch where both happen to be of the same length.
A length of one is known by the dimension, which layers on positions that are laid flat
(``[B·S, F]``) do not have: they are of the first kind in a batch where no example has two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hessinf.gradients.layers import Usage


@dataclass(frozen=True)
class CalledAt:
    """The positions of one call of a layer, without what it had there.

    Parameters
    ----------
    number
        S.
    space
        As :class:`~hessinf.gradients.layers.Usage` has it.
    skipped
        ``[B, S]``, True where an embedding's ``padding_idx`` was looked up; None for none.
    """

    number: int
    space: tuple[int, ...] | None
    skipped: torch.Tensor | None

    @property
    def in_sequence(self) -> bool:
        """Whether positions can be padding."""
        return self.space is not None and len(self.space) < 2


class CountedPositions:
    """Which positions count, over one batch.

    That is known when all layers and columns have been seen.
    """

    def __init__(self) -> None:
        self._reached: dict[int, torch.Tensor] = {}
        """By S, the positions ``[B, S]`` at which a layer of a sequence has a gradient."""
        self._whole: dict[int, bool] = {}
        """By S, whether that is all of them; asked for when all layers have been seen."""

    def add(self, usage: Usage) -> CalledAt:
        """Take in K columns of one call; return what to ask for later."""
        skipped = None
        if usage.padding_idx is not None:
            skipped = usage.rows == usage.padding_idx  # [B, S]
        call = CalledAt(usage.positions, usage.space, skipped)
        if call.in_sequence:
            reached = usage.gradient.abs().amax(dim=3).amax(dim=0) != 0  # [B, S]
            known = self._reached.get(call.number)
            self._whole.clear()
            self._reached[call.number] = reached if known is None else known | reached
        return call

    def of(self, calls: Sequence[CalledAt], inputs: torch.Tensor) -> torch.Tensor:
        """Return which positions of calls count, one call after another: ``[B, S]``.

        Parameters
        ----------
        calls
            From :meth:`add`.
        inputs
            ``[B, S, ...]``, of all of them: says how many examples there are, and where.
        """
        return torch.cat([self._of_call(call, inputs) for call in calls], dim=1)

    def all_count(self, calls: Sequence[CalledAt]) -> bool:
        """Whether all positions of calls count, as far as that is told without looking at each."""
        return not any(call.in_sequence and self._some_unreached(call) for call in calls)

    def _some_unreached(self, call: CalledAt) -> bool:
        if call.skipped is not None:
            return True
        if call.number not in self._whole:
            self._whole[call.number] = bool(self._reached[call.number].all())
        return not self._whole[call.number]

    def _of_call(self, call: CalledAt, inputs: torch.Tensor) -> torch.Tensor:
        if not call.in_sequence:
            return inputs.new_ones(len(inputs), call.number, dtype=torch.bool)  # [B, S]
        reached = self._reached[call.number]  # [B, S]
        if call.space:
            places = torch.arange(call.space[0], device=reached.device)  # [L]
            lines = reached.reshape(len(inputs), -1, call.space[0])  # [B, M, L]
            last = torch.where(lines, places, -1).amax(dim=2, keepdim=True)  # [B, M, 1]
            reached = (places <= last).flatten(1)  # [B, S]
        return reached if call.skipped is None else reached & ~call.skipped
