"""An ensemble of many models as one batched program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hessinf.data.batching import Batch
from hessinf.models.objective import Objective
from hessinf.runtime import randomness
from hessinf.training.batch_order import random_order
from hessinf.training.ensemble import Ensemble, Standing
from hessinf.training.measuring import measured, parts
from hessinf.training.stacked_networks import StackedNetworks, kept_state

EVALUATED_AT_ONCE = 1024
"""Examples of all models together that go through the networks at once, where it is a choice."""


@dataclass(frozen=True)
class StackedBatch:
    """The examples of one step of every model.

    Parameters
    ----------
    places
        Of the examples in the data set, ``[M, B]``, on the device.
    is_there
        Which of them count, ``[M, B]``, where some models have fewer than others; None for all.
    counts
        How many count: a number for all, or ``[M]``.
    """

    places: torch.Tensor
    is_there: torch.Tensor | None
    counts: torch.Tensor | int


@dataclass(frozen=True)
class _Model:
    """One model that is still trained: which it is, its examples, its name, its own randomness."""

    row: int
    places: torch.Tensor
    name: str
    generator: torch.Generator


@dataclass(frozen=True)
class StackedState:
    """The trained parameters of one model of a stack: views, that can be copied and overwritten."""

    values: dict[str, torch.Tensor]

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the views."""
        return self.values

    def load_state_dict(self, state_dict: dict[str, torch.Tensor]) -> None:
        """Overwrite what they show."""
        for name, value in state_dict.items():
            self.values[name].copy_(value)


class StackedModels(Ensemble):
    """``M`` models, whose steps are computed together.

    Parameters
    ----------
    networks
        The models.
    data
        The whole data set, as one batch on the device.
    indices
        Which examples each model is trained on, ``[n]``: batches of :attr:`batch_size` are as many
        for each.
    names
        What each model is called in errors.
    seeds
        The seed of each model's order of examples.
    objective
        The loss of an example.
    batch_size
        How many examples of a model make a step.
    weight_decay
        The factor of ``½‖θ‖²``.
    watched
        Validation data on the device, as one batch, or None.
    """

    def __init__(
        self,
        networks: StackedNetworks,
        data: Batch,
        indices: Sequence[torch.Tensor],
        names: Sequence[str],
        seeds: Sequence[int],
        objective: Objective,
        batch_size: int,
        weight_decay: float,
        watched: Batch | None,
    ) -> None:
        self.networks = networks
        self.module = networks.module
        self.parameters = list(networks.trained.values())
        self.data = data
        self.sizes = [len(places) for places in indices]
        self.seeds = list(seeds)
        self.weight_decay = weight_decay
        self.objective = objective
        self.batch_size = batch_size
        self.watched = watched
        self._models = [
            _Model(row, places, name, randomness.generator(seed, "trainer.order"))
            for row, (places, name, seed) in enumerate(zip(indices, names, seeds, strict=True))
        ]
        self._going_on = self._models
        self._finished: dict[str, torch.Tensor] = {}
        self._own = networks.own  # of all models

    @property
    def num_parameters(self) -> int:
        """How many parameters of each model are trained."""
        return sum(parameter[0].numel() for parameter in self.parameters)

    def random_batches(self, batch_size: int) -> Sequence[StackedBatch]:
        """Put the examples of every model in a new random order."""
        orders = [
            model.places[random_order(len(model.places), model.generator)]
            for model in self._going_on
        ]
        return list(self._batches(orders, batch_size))

    def _batches(self, orders: Sequence[torch.Tensor], size: int) -> Iterator[StackedBatch]:
        """Cut the examples of all models into batches; those of one batch are as many or fewer."""
        device = self.data.targets.device
        numbers = [len(order) for order in orders]
        longest = max(numbers)
        if min(numbers) == longest:
            places = torch.stack(list(orders)).to(device)  # [M, n]
            for some in torch.split(places, size, dim=1):
                yield StackedBatch(some, None, some.shape[1])
            return
        # A model's first example stands where it has none: any will do, as it does not count.
        padded = [torch.cat([order, order[:1].expand(longest - len(order))]) for order in orders]
        places = torch.stack(padded).to(device)  # [M, n]
        is_there = torch.arange(longest) < torch.tensor(numbers)[:, None]  # [M, n]
        for some, there in zip(
            torch.split(places, size, dim=1), torch.split(is_there, size, dim=1), strict=True
        ):
            if bool(there.all()):
                yield StackedBatch(some, None, some.shape[1])
            else:
                counts = there.sum(1)  # [M]
                yield StackedBatch(some, there.to(device), counts.to(device))

    def losses(self, batch: StackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the sum of each model's losses, ``[M]``, and the sum of their means."""
        sums = self.sums_of_losses(batch)  # [M]
        return sums, (sums / batch.counts).sum()

    def first_batch(self) -> StackedBatch:
        """Return the first examples of every model, in their own order."""
        return next(self._batches([model.places for model in self._going_on], self.batch_size))

    def sums_of_losses(self, batch: StackedBatch) -> torch.Tensor:
        """Compute the sum of each model's losses, ``[M]``."""
        chosen = batch.places.flatten()  # [M B]

        def gathered(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.index_select(0, chosen).reshape(*batch.places.shape, *tensor.shape[1:])

        inputs: Any = self.data.inputs
        if isinstance(inputs, dict):
            inputs = {name: gathered(tensor) for name, tensor in inputs.items()}  # [M, B, ...]
        else:
            inputs = gathered(inputs)  # [M, B, ...]
        outputs = self.networks.outputs_of_each(inputs)  # [M, B, ...]
        targets = self.data.targets.index_select(0, chosen)  # [M B, ...]
        losses = self.objective.losses(outputs.flatten(0, 1), targets)  # [M B]
        losses = losses.reshape(batch.places.shape)  # [M, B]
        if batch.is_there is not None:
            losses = torch.where(batch.is_there, losses, 0)
        return losses.sum(1)

    def clip(self, largest: float) -> None:
        """Scale each model's gradient down, as ``torch.nn.utils.clip_grad_norm_`` does."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norms = [torch.linalg.vector_norm(grad.flatten(1), dim=1) for grad in gradients]
        norm = torch.linalg.vector_norm(torch.stack(norms), dim=0)  # [M]
        factor = (largest / (norm + 1e-6)).clamp(max=1.0)  # [M]
        for gradient in gradients:
            gradient.mul_(factor.to(gradient.dtype).reshape(-1, *[1] * (gradient.dim() - 1)))

    def standings(self) -> list[Standing]:
        """Evaluate every model on its training data; sums are taken in float64."""
        gradients = [torch.zeros_like(value, dtype=torch.float64) for value in self.parameters]
        with self.evaluating():
            sums = []
            for batch in self._batches(
                [model.places for model in self._going_on], self._evaluated_at_once
            ):
                some = self.sums_of_losses(batch)  # [M]
                found = torch.autograd.grad(some.sum(), self.parameters, materialize_grads=True)
                for accumulated, summand in zip(gradients, found, strict=True):
                    accumulated.add_(summand)
                sums.append(some.detach().double())
        sizes = torch.tensor(
            [len(model.places) for model in self._going_on],
            device=gradients[0].device,
            dtype=torch.float64,
        )  # [M]
        losses = torch.stack(sums).sum(0) / sizes  # [M]
        squares, norms = torch.zeros_like(losses), torch.zeros_like(losses)  # [M]
        for gradient, parameter in zip(gradients, self.parameters, strict=True):
            values = parameter.detach().double().flatten(1)  # [M, P]
            whole = gradient.flatten(1) / sizes[:, None] + self.weight_decay * values
            squares += values.square().sum(1)
            norms += whole.square().sum(1)
        objectives = losses + 0.5 * self.weight_decay * squares  # [M]
        return [
            Standing(*numbers)
            for numbers in torch.stack([losses, objectives, norms.sqrt()], dim=1).tolist()
        ]

    @property
    def _evaluated_at_once(self) -> int:
        """How many examples of each model."""
        return max(EVALUATED_AT_ONCE // len(self._going_on), self.batch_size)

    def watched_losses(self) -> list[float] | None:
        """Compute the mean validation loss of every model."""
        if self.watched is None:
            return None
        with torch.no_grad():
            sums = [
                measured(self.networks, some, self.objective.losses).double().sum(1)
                for some in parts(self.watched, self._evaluated_at_once)
            ]  # [M] each
        found: list[float] = (torch.stack(sums).sum(0) / self.watched.size).tolist()
        return found

    def state(self, row: int) -> StackedState:
        """Return the parameters of one of the models that are still trained."""
        return StackedState(self.networks.values_of(row))

    def finish(self, rows: Sequence[int], optimizer: torch.optim.Optimizer) -> None:
        """Take models out of the stack."""
        going_on = [row for row in range(len(self._going_on)) if row not in set(rows)]
        if not going_on and not self._finished:
            for parameter in self.parameters:
                parameter.grad = None  # memory that nobody needs any more
            return  # the usual case: all of them ran for as long, and lie where they belong
        for name, value in self.networks.trained.items():
            shape = (len(self.sizes), *value.shape[1:])
            finished = self._finished.setdefault(name, value.new_empty(shape, requires_grad=False))
            for row in rows:
                finished[self._going_on[row].row] = value.detach()[row]
        if not going_on:
            self.networks.replace(self._finished, self._own)
            self._going_on = self._models
            return
        kept_state(optimizer, going_on)
        self.networks.keep(going_on)
        self._going_on = [self._going_on[row] for row in going_on]

    def name_of(self, row: int) -> str:
        """Say which model it is."""
        return self._going_on[row].name
