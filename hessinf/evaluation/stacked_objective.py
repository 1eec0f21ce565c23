r"""The training objectives of many models at once, as one function of stacked parameters.

Model k of K has its own parameters ``θ_k`` and its own weights ``w_ki`` of the N examples:

    F_k(θ) = Σ_i w_ki ℓ_i(θ) − Σ_i t_iᵀ f_i(θ) + ½ wd ‖θ‖² + ½ δ ‖θ − o‖²

``f_i`` are the outputs for example i. The second sum is only there where a tangent ``t`` is given:
with ``t_i = ∂ℓ_i/∂f`` at some parameters it makes Bregman divergences of losses. All is float64.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.func import grad_and_value, vmap
from torch.utils._pytree import tree_map

from hessinf.data import Dataset
from hessinf.data.batching import Batch, Batches, batches
from hessinf.gradients import FunctionalModel
from hessinf.gradients.activation_memory import activation_bytes
from hessinf.gradients.out_of_memory import is_out_of_memory
from hessinf.gradients.plain_kernels import twice_differentiable_attention
from hessinf.models import Measurement, Objective

EXAMPLES_AT_ONCE = 2048
"""Examples that go through the models together."""

COPIES = 4
"""Activations, their gradients, and what elementwise functions need beside them."""


logger = logging.getLogger(__name__)


@dataclass(eq=False)
class StackedModels:
    """A network and data, to be evaluated with many sets of parameters.

    Parameters
    ----------
    model
        The network as a function of θ, float64, in evaluation mode while this is used.
    objective
        The loss of every example.
    memory_limit
        GiB that models evaluated together may take.
    """

    model: FunctionalModel
    objective: Objective
    memory_limit: float

    _one_by_one: bool = field(default=False, init=False)

    def batches(self, dataset: Dataset) -> Batches:
        """Read a data set for this network."""
        size = min(EXAMPLES_AT_ONCE, len(dataset))
        return batches(dataset, size, device=self.model.device, dtype=torch.float64)

    def at_once(self, batch: Batch) -> int:
        """Say how many models there is room for with a batch."""
        one = activation_bytes(self.model, self.objective, batch) * batch.size
        one += 8 * self.model.layout.size
        return max(int(self.memory_limit * 2**30 / 4 / COPIES / one), 1)

    def values(
        self, thetas: torch.Tensor, queries: Dataset, measurement: Measurement | None = None
    ) -> torch.Tensor:
        """Measure queries with every set of parameters; less is better for them.

        Parameters
        ----------
        thetas
            ``[K, P]``, float64.
        queries
            Q examples.
        measurement
            What is measured, its sign turned where more is better; the loss when None.

        Returns
        -------
        torch.Tensor
            ``[K, Q]``, float64.
        """

        def measured(theta: dict[str, torch.Tensor], batch: Batch) -> torch.Tensor:
            outputs = self.model.outputs(theta, batch.inputs)  # [Q', ...]
            if measurement is None:
                return self.objective.losses(outputs, batch.targets)
            sign = -1.0 if measurement.higher_is_better else 1.0
            return sign * measurement.values(outputs, batch.targets, self.objective)

        columns = []
        with torch.no_grad():
            for batch in self.batches(queries):
                of_batch = partial(measured, batch=batch)
                parts = torch.split(thetas, self.at_once(batch))
                rows = [self.for_each(of_batch, part) for part in parts]
                columns.append(torch.cat(rows))  # [K, Q']
        return torch.cat(columns, dim=1)  # [K, Q]

    def for_each(
        self, function: Callable[..., Any], thetas: torch.Tensor, *others: torch.Tensor
    ) -> Any:
        """Apply a function to each set of parameters, all at once where the network allows it.

        Parameters
        ----------
        function
            Of parameters by name, and of a row of each of the others; gives tensors, or tuples and
            dicts of them.
        thetas
            ``[A, P]``.
        others
            ``[A, ...]`` each.

        Returns
        -------
        torch.Tensor, tuple or dict
            What the function gives, stacked.
        """
        layout = self.model.layout
        with twice_differentiable_attention():  # the fused kernels know no vmap
            if not self._one_by_one:
                try:
                    return vmap(function)(layout.unflatten(thetas), *others)
                except RuntimeError as error:
                    if is_out_of_memory(error):
                        raise
                    reason = str(error).partition("\n")[0]
            found = [
                function(layout.unflatten(theta), *rows)
                for theta, *rows in zip(thetas, *others, strict=True)
            ]
        if not self._one_by_one:  # an error of the network itself was raised there
            logger.warning(
                "the model cannot be evaluated for many sets of parameters at once (%s); going on "
                "one at a time, which is slower and gives the same numbers",
                reason,
            )
            self._one_by_one = True
        return tree_map(lambda *pieces: torch.stack(pieces), *found)


class StackedObjective:
    """``F_k`` of K models and its gradients.

    Parameters
    ----------
    models
        The network.
    dataset
        The N training examples.
    weights
        ``w``, ``[K, N]``, float64.
    weight_decay
        ``wd``.
    proximity, origin
        ``δ``, and ``o``, ``[P]``.
    tangent
        ``t``, of the shape of the outputs of each of ``models.batches(dataset)``; None for zeros.
    """

    def __init__(
        self,
        models: StackedModels,
        dataset: Dataset,
        weights: torch.Tensor,
        *,
        weight_decay: float,
        proximity: float = 0.0,
        origin: torch.Tensor | None = None,
        tangent: Sequence[torch.Tensor] | None = None,
    ) -> None:
        self.models = models
        self.weights = weights
        self.weight_decay = weight_decay
        self.proximity = proximity
        self.origin = origin
        self.data: Sequence[Batch] = list(models.batches(dataset))
        self.tangent = [None] * len(self.data) if tangent is None else tangent
        self._at_once = [models.at_once(batch) for batch in self.data]

    def evaluate(
        self, members: torch.Tensor, thetas: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the objectives of some models, and their gradients.

        Parameters
        ----------
        members
            Which of the K models, ``[A]``.
        thetas
            Their parameters, ``[A, P]``.

        Returns
        -------
        torch.Tensor
            ``[A]``.
        torch.Tensor
            ``[A, P]``.
        """
        values = 0.5 * self.weight_decay * thetas.square().sum(dim=1)  # [A]
        gradients = self.weight_decay * thetas  # [A, P]
        if self.origin is not None:
            away = thetas - self.origin  # [A, P]
            values += 0.5 * self.proximity * away.square().sum(dim=1)
            gradients += self.proximity * away
        layout = self.models.model.layout
        for batch, size, tangent in zip(self.data, self._at_once, self.tangent, strict=True):
            total = partial(self._total, batch=batch, tangent=tangent)
            for start in range(0, len(members), size):
                some = slice(start, start + size)
                weights = self.weights[members[some]][:, batch.indices]  # [A', B]
                found, value = self.models.for_each(grad_and_value(total), thetas[some], weights)
                values[some] += value
                gradients[some] += layout.flatten(found, leading=1)
        return values, gradients

    def _total(
        self,
        theta: dict[str, torch.Tensor],
        weights: torch.Tensor,
        *,
        batch: Batch,
        tangent: torch.Tensor | None,
    ) -> torch.Tensor:
        """Sum up a batch for one model, ``weights`` being ``[B]``."""
        outputs = self.models.model.outputs(theta, batch.inputs)  # [B, ...]
        summed = (self.models.objective.losses(outputs, batch.targets) * weights).sum()
        return summed if tangent is None else summed - (tangent * outputs).sum()
