"""Losses of queries at other parameters than the model's, for many sets of parameters at once."""

from __future__ import annotations

import logging

import torch
from torch.func import vmap

from hessinf.data import Dataset
from hessinf.data.batching import Batch, batches
from hessinf.gradients import FunctionalModel
from hessinf.gradients.activation_memory import activation_bytes
from hessinf.gradients.out_of_memory import is_out_of_memory
from hessinf.gradients.plain_kernels import twice_differentiable_attention
from hessinf.models import Objective

logger = logging.getLogger(__name__)

COPIES = 3
"""The steps, the moved parameters, and room for one layer more."""


class MovedParameters:
    """Computes how the losses of queries change as θ moves, in float64.

    Losses that differ in their eighth digit are subtracted from one another: float32 would leave
    nothing of a difference.

    Parameters
    ----------
    model
        The model as a function of θ, in evaluation mode while this is used.
    objective
        The loss of every query.
    queries
        The test data.
    query_batch_size
        Queries that go through the model together.
    memory
        In bytes, what activations and moved parameters may take.
    """

    def __init__(
        self,
        model: FunctionalModel,
        objective: Objective,
        queries: Dataset,
        query_batch_size: int,
        memory: float,
    ) -> None:
        self.model = FunctionalModel(
            model.module, device=model.device, dtype=torch.float64, keep=model.parameters
        )
        self.objective = objective
        self.batches = batches(
            queries, min(query_batch_size, len(queries)), device=model.device, dtype=torch.float64
        )
        self.origin = self.model.layout.flatten(self.model.parameters)  # [P]
        first = next(iter(self.batches))
        activations = activation_bytes(self.model, objective, first)  # of one query
        of_one_step = COPIES * 8 * len(self.origin) + activations * first.size
        self._at_once = max(int(memory / of_one_step), 1)
        self._one_by_one = False

    def loss_changes(self, steps: torch.Tensor) -> torch.Tensor:
        """Compute what the queries' losses gain when θ makes each of the steps.

        Parameters
        ----------
        steps
            ``[K, P]``, float64.

        Returns
        -------
        torch.Tensor
            ``[K, Q]``, float64.
        """
        return torch.cat([self._of_batch(batch, steps) for batch in self.batches], dim=1)

    def _of_batch(self, batch: Batch, steps: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), twice_differentiable_attention():  # the fused kernels know no vmap
            before = self._losses(self.model.parameters, batch)  # [Q]
            while True:
                parts = []
                for some in torch.split(steps, self._at_once):
                    losses = self._unless_out_of_memory(batch, self.origin + some)
                    if losses is None:
                        break
                    parts.append(losses)
                else:
                    return torch.cat(parts) - before  # [K, Q]
                logger.warning("out of memory with %d models at once: halving", self._at_once)
                self._at_once = -(-self._at_once // 2)

    def _losses(self, parameters: dict[str, torch.Tensor], batch: Batch) -> torch.Tensor:
        outputs = self.model.outputs(parameters, batch.inputs)  # [Q, ...]
        return self.objective.losses(outputs, batch.targets)

    def _unless_out_of_memory(self, batch: Batch, thetas: torch.Tensor) -> torch.Tensor | None:
        """Compute the losses ``[K, Q]`` at parameters ``[K, P]``; None where they do not fit."""
        if not self._one_by_one:
            try:
                return vmap(lambda theta: self._losses(theta, batch))(
                    self.model.layout.unflatten(thetas)
                )
            except RuntimeError as error:
                if is_out_of_memory(error):
                    if len(thetas) == 1:
                        raise
                    return None
                reason = str(error).partition("\n")[0]
        losses = [self._losses(self.model.layout.unflatten(theta), batch) for theta in thetas]
        if not self._one_by_one:  # an error of the model itself was raised there
            logger.warning(
                "the model cannot be evaluated for many sets of parameters at once (%s); going on "
                "one at a time, which is slower and gives the same losses",
                reason,
            )
            self._one_by_one = True
        return torch.stack(losses)
