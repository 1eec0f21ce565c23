"""Targets that the model itself draws, the same whatever batch an example is in.

Each number depends on the seed, the sample, the example's place in the training data and the place
within the example alone: it is a hash of these (SplitMix64; Steele, Lea & Flood, OOPSLA 2014), so
that all examples are drawn for at once, on any device, in any order.
"""

from __future__ import annotations

import math

import torch

from hessinf.data.batching import Batch
from hessinf.models import Objective
from hessinf.runtime.randomness import derive_seed

STEPS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
BITS = 52
"""Of a random number: so many, and a half behind them, fit into a float64."""


class TargetDraws:
    """Draws targets from the predictive distribution of a model.

    Parameters
    ----------
    objective
        Says what the distribution is.
    seed
        What the draws depend on, with the example's place in the training data.
    """

    def __init__(self, objective: Objective, seed: int) -> None:
        self.objective = objective
        self.seed = seed
        self._at_once = _has_quantiles(type(objective))
        self._generator = torch.Generator()

    def __call__(self, outputs: torch.Tensor, batch: Batch, sample: int) -> torch.Tensor:
        """Draw targets ``[B, ...]``.

        Parameters
        ----------
        outputs
            The model's, ``[B, ...]``.
        batch
            Where they come from.
        sample
            Which of several draws of the same examples.
        """
        if not self._at_once:
            return self._one_by_one(outputs, batch, sample)
        shape = self.objective.quantile_shape(outputs)  # [B, ...]
        places = batch.indices.to(outputs.device)  # [B]
        key = derive_seed(self.seed, f"fisher.{sample}")
        numbers = quantiles(key, places, math.prod(shape[1:])).reshape(shape)
        return self.objective.targets_at_quantiles(outputs, batch.targets, numbers)

    def _one_by_one(self, outputs: torch.Tensor, batch: Batch, sample: int) -> torch.Tensor:
        """Ask the objective to draw for each example by itself.

        On the CPU: the numbers are the same on every device.
        """
        values, targets = outputs.cpu(), batch.targets.cpu()
        drawn = []
        for place, index in enumerate(batch.indices.tolist()):
            self._generator.manual_seed(derive_seed(self.seed, f"fisher.{index}.{sample}"))
            one = slice(place, place + 1)
            drawn.append(self.objective.sample_targets(values[one], targets[one], self._generator))
        return torch.cat(drawn).to(outputs.device)


def quantiles(key: int, places: torch.Tensor, count: int) -> torch.Tensor:
    """Compute numbers between 0 and 1, without these, that look random.

    Parameters
    ----------
    key
        63 bits.
    places
        ``[B]``, int64.
    count
        How many numbers each place has; the first ones do not depend on how many there are.

    Returns
    -------
    torch.Tensor
        ``[B, count]``, float64.
    """
    own = _mixed(places * _signed(STEPS[0]) + _signed(key))  # [B]
    within = torch.arange(1, count + 1, device=places.device) * _signed(STEPS[0])  # [count]
    bits = _shifted(_mixed(own[:, None] + within), 64 - BITS)  # [B, count]
    return (bits.double() + 0.5) * 2.0**-BITS


def _mixed(state: torch.Tensor) -> torch.Tensor:
    """Mix the bits of whole numbers; products are those modulo 2⁶⁴."""
    state = (state ^ _shifted(state, 30)) * _signed(STEPS[1])
    state = (state ^ _shifted(state, 27)) * _signed(STEPS[2])
    return state ^ _shifted(state, 31)


def _shifted(state: torch.Tensor, by: int) -> torch.Tensor:
    """Shift to the right, zeros coming in."""
    return (state >> by) & ((1 << (64 - by)) - 1)


def _signed(number: int) -> int:
    """Return the int64 with the same bits."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _has_quantiles(cls: type[Objective]) -> bool:
    """Whether quantiles give what ``sample_targets`` draws: no class below has changed only that.

    A class that overrides ``sample_targets`` alone says itself how targets are drawn.
    """
    if cls.targets_at_quantiles is Objective.targets_at_quantiles:
        return False
    owners = [
        next(place for place, base in enumerate(cls.__mro__) if method in vars(base))
        for method in ("targets_at_quantiles", "sample_targets")
    ]
    return owners[0] <= owners[1]
