"""How the learning rate changes while training goes on."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Annotated

from hessinf.registry import Above, AtLeast, Between, Registrable


class Scheduler(Registrable):
    """A function of time, in epochs and fractions of them, that multiplies the learning rate.

    It is evaluated before every step; there is no state, so that any number of models can share it.
    """

    default_implementation = "constant"

    warmup_epochs: float = 0.0

    @abstractmethod
    def after_warmup(self, epoch: float, epochs: float) -> float:
        """Return the factor at ``epoch`` of ``epochs``, both counted from the end of the warm-up.

        Parameters
        ----------
        epoch
            The time, from 0 on.
        epochs
            The time at which training ends, greater than 0.
        """

    def factor(self, epoch: float, epochs: float) -> float:
        """Return what the learning rate is multiplied by.

        Parameters
        ----------
        epoch
            The time at which the step begins: 2.5 in the middle of the third epoch.
        epochs
            How many epochs there are.

        Returns
        -------
        float
            During the warm-up it grows in a straight line from (almost) 0 to 1.
        """
        if epoch < self.warmup_epochs:
            return (epoch + 1e-3) / (self.warmup_epochs + 1e-3)
        return self.after_warmup(epoch - self.warmup_epochs, max(epochs - self.warmup_epochs, 1e-9))


@Scheduler.register("constant")
@dataclass
class Constant(Scheduler):
    """The learning rate stays as it is.

    Registered as a `Scheduler` with name "constant".

    Parameters
    ----------
    warmup_epochs
        For how long the learning rate grows to its value first.
    """

    warmup_epochs: Annotated[float, AtLeast(0)] = 0.0

    def after_warmup(self, epoch: float, epochs: float) -> float:
        """Return 1."""
        return 1.0


@Scheduler.register("cosine")
@dataclass
class Cosine(Scheduler):
    """The learning rate falls along half a cosine (Loshchilov & Hutter 2017, without restarts).

    Registered as a `Scheduler` with name "cosine".

    Parameters
    ----------
    final_factor
        What is left of the learning rate at the end.
    warmup_epochs
        For how long the learning rate grows to its value first.
    """

    final_factor: Annotated[float, Between(0, 1)] = 0.0
    warmup_epochs: Annotated[float, AtLeast(0)] = 0.0

    def after_warmup(self, epoch: float, epochs: float) -> float:
        """Return the cosine."""
        share = 0.5 * (1 + math.cos(math.pi * min(epoch / epochs, 1.0)))
        return self.final_factor + (1 - self.final_factor) * share


@Scheduler.register("linear")
@dataclass
class Linear(Scheduler):
    """The learning rate falls in a straight line.

    Registered as a `Scheduler` with name "linear".

    Parameters
    ----------
    final_factor
        What is left of the learning rate at the end.
    warmup_epochs
        For how long the learning rate grows to its value first.
    """

    final_factor: Annotated[float, Between(0, 1)] = 0.0
    warmup_epochs: Annotated[float, AtLeast(0)] = 0.0

    def after_warmup(self, epoch: float, epochs: float) -> float:
        """Return the line."""
        return 1 - (1 - self.final_factor) * min(epoch / epochs, 1.0)


@Scheduler.register("exponential")
@dataclass
class Exponential(Scheduler):
    """The learning rate falls by the same factor every epoch.

    Registered as a `Scheduler` with name "exponential".

    Parameters
    ----------
    gamma
        The factor.
    warmup_epochs
        For how long the learning rate grows to its value first.
    """

    gamma: Annotated[float, Above(0)] = 0.95
    warmup_epochs: Annotated[float, AtLeast(0)] = 0.0

    def after_warmup(self, epoch: float, epochs: float) -> float:
        """Return the factor to the power of the epochs that are over."""
        return float(self.gamma ** math.floor(epoch))


@Scheduler.register("step")
@dataclass
class Step(Scheduler):
    """The learning rate falls by a factor at some epochs.

    Registered as a `Scheduler` with name "step".

    Parameters
    ----------
    milestones
        The epochs (from 0 on) at which it falls.
    gamma
        The factor.
    warmup_epochs
        For how long the learning rate grows to its value first; milestones count from its end.
    """

    milestones: list[Annotated[float, AtLeast(0)]] = field(default_factory=list)
    gamma: Annotated[float, Above(0)] = 0.1
    warmup_epochs: Annotated[float, AtLeast(0)] = 0.0

    def __post_init__(self) -> None:
        """Refuse to be a constant."""
        if not self.milestones:
            raise ValueError(
                "milestones needs one epoch or more at which the learning rate falls, found []; "
                'for none take "constant"'
            )

    def after_warmup(self, epoch: float, epochs: float) -> float:
        """Return the factor to the power of the milestones that are past."""
        return float(self.gamma ** sum(epoch >= milestone for milestone in self.milestones))
