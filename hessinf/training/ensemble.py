"""Models that take their steps together: what the training loop sees of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from hessinf.training import module_state
from hessinf.training.early_stopping import State


@dataclass(frozen=True)
class Standing:
    """Where a model stands, in evaluation mode.

    Parameters
    ----------
    loss
        The mean loss over its training data.
    objective
        The loss plus ``½ weight_decay ‖θ‖²``.
    gradient_norm
        The 2-norm of the objective's gradient.
    """

    loss: float
    objective: float
    gradient_norm: float


class Ensemble(ABC):
    """``M`` models of one kind, trained side by side on examples of their own.

    Parameters
    ----------
    module
        The network whose modes count for all.
    parameters
        What is trained: leaves, ``[M, ...]``, or without the first axis where there is one model.
    sizes
        How many examples each model is trained on; as many batches make an epoch of each.
    seeds
        Of each model: the order of its examples comes from it.
    weight_decay
        The factor of ``½‖θ‖²`` in the objective.
    """

    module: torch.nn.Module
    parameters: Sequence[torch.Tensor]
    sizes: Sequence[int]
    seeds: Sequence[int]
    weight_decay: float

    @property
    @abstractmethod
    def num_parameters(self) -> int:
        """How many parameters of each model are trained."""

    @abstractmethod
    def random_batches(self, batch_size: int) -> Sequence[Any]:
        """Put the examples of every model in a new random order, and say which make each step."""

    @abstractmethod
    def losses(self, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the losses of one step.

        Parameters
        ----------
        batch
            One of :meth:`random_batches`.

        Returns
        -------
        tuple of torch.Tensor
            The sum of each model's losses, ``[M]`` or a scalar; and a scalar whose gradient is that
            of each model's mean loss.
        """

    @abstractmethod
    def clip(self, largest: float) -> None:
        """Scale each model's gradient down to a 2-norm of at most ``largest``."""

    @abstractmethod
    def standings(self) -> list[Standing]:
        """Evaluate every model on its training data."""

    @abstractmethod
    def watched_losses(self) -> list[float] | None:
        """Compute the mean validation loss of every model; None without validation data."""

    @abstractmethod
    def state(self, row: int) -> State:
        """Return the parameters of one of the models that are still trained."""

    @abstractmethod
    def finish(self, rows: Sequence[int], optimizer: torch.optim.Optimizer) -> None:
        """Keep some of the models as they are; the others go on, in the same order."""

    @abstractmethod
    def name_of(self, row: int) -> str:
        """Say which of the models that are still trained it is, to stand before an error."""

    def evaluating(self) -> AbstractContextManager[None]:
        """Return a context in which the network is in evaluation mode."""
        return module_state.mode(self.module, training=False)
