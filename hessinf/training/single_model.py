"""An ensemble of one model: the module itself is trained, whatever it does in training mode."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hessinf.runtime import randomness
from hessinf.training.batch_order import random_batches
from hessinf.training.ensemble import Ensemble, Standing
from hessinf.training.objective_function import FullObjective, sum_of_losses


class SingleModel(Ensemble):
    """One model.

    Parameters
    ----------
    module
        The network, trained in place.
    function
        The objective over all of its examples.
    watched
        The objective over validation data, or None.
    seed
        The seed of the order of examples.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        function: FullObjective,
        watched: FullObjective | None,
        seed: int,
    ) -> None:
        self.module = module
        self.function = function
        self.watched = watched
        self.parameters = function.parameters
        self.sizes = [len(function.data.dataset)]
        self.seeds = [seed]
        self.weight_decay = function.weight_decay
        self.generator = randomness.generator(seed, "trainer.order")
        self._none_of_one = normalizes_batches(module)

    @property
    def num_parameters(self) -> int:
        """How many parameters are trained."""
        return sum(parameter.numel() for parameter in self.parameters)

    def random_batches(self, batch_size: int) -> Sequence[torch.Tensor]:
        """Return the places of the examples of each step, ``[B]``."""
        return random_batches(
            self.sizes[0], batch_size, self.generator, none_of_one=self._none_of_one
        )

    def losses(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the sum of a batch's losses, and their mean."""
        examples = self.function.data.select(batch)
        total = sum_of_losses(self.module, examples, self.function.objective, self.function.weights)
        return total, total / examples.size

    def clip(self, largest: float) -> None:
        """Scale the gradient down."""
        torch.nn.utils.clip_grad_norm_(self.parameters, largest)

    def standings(self) -> list[Standing]:
        """Evaluate the model on its training data."""
        with self.evaluating():
            found = self.function.evaluate()
        return [Standing(found.loss, found.objective, found.gradient_norm)]

    def watched_losses(self) -> list[float] | None:
        """Compute the validation loss."""
        if self.watched is None:
            return None
        with self.evaluating():
            return [self.watched.loss()]

    def state(self, row: int) -> torch.nn.Module:
        """Return the module."""
        return self.module

    def finish(self, rows: Sequence[int], optimizer: torch.optim.Optimizer) -> None:
        """Do nothing: the module is what it is."""

    def name_of(self, row: int) -> str:
        """Return nothing: there is no other."""
        return ""


def normalizes_batches(module: torch.nn.Module) -> bool:
    """Whether a layer normalizes by the batch, which one example does not make."""
    kinds = torch.nn.modules.batchnorm._BatchNorm
    return any(isinstance(layer, kinds) for layer in module.modules())
