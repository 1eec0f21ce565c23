"""Training step by step on random mini-batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from hessinf.runtime import progress
from hessinf.training.early_stopping import BestEpoch
from hessinf.training.errors import TrainingError
from hessinf.training.objective_function import FullObjective, sum_of_losses, with_penalty
from hessinf.training.record import StoppedBecause
from hessinf.training.scheduler import Scheduler


def random_batches(
    number: int, batch_size: int, generator: torch.Generator, *, none_of_one: bool = False
) -> list[torch.Tensor]:
    """Put examples into batches in random order.

    Parameters
    ----------
    number
        How many examples there are.
    batch_size
        Examples in a batch; the last one may have fewer.
    generator
        Where the order comes from.
    none_of_one
        Whether a last batch of one example joins the batch before it.

    Returns
    -------
    list of torch.Tensor
        Places of examples ``[B]``, on the CPU; every example is in one batch.
    """
    order = torch.randperm(number, generator=generator)  # [N]
    sizes = [batch_size] * (number // batch_size) + [number % batch_size] * (
        number % batch_size > 0
    )
    if none_of_one and len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [batch_size + 1]
    return list(torch.split(order, sizes))


@dataclass
class MiniBatchTraining:
    """A training run on mini-batches.

    Parameters
    ----------
    module
        The network, trained in place.
    function
        The objective over all examples.
    optimizer
        The PyTorch optimizer of its parameters.
    scheduler
        What multiplies the learning rate over time, or None.
    epochs, batch_size
        How often the data are seen, and how many examples make a step.
    gradient_clipping
        The largest 2-norm of a step's gradient, or None.
    gradient_tolerance
        The 2-norm of the whole objective's gradient at which to stop, or None.
    generator
        Where the order of examples comes from.
    evaluating
        A context in which the module is in evaluation mode.
    best
        The best epoch so far, where training may stop early.
    watched_loss
        The loss that early stopping watches; None for the mean training loss of the epoch.
    """

    module: torch.nn.Module
    function: FullObjective
    optimizer: torch.optim.Optimizer
    scheduler: Scheduler | None
    epochs: int
    batch_size: int
    gradient_clipping: float | None
    gradient_tolerance: float | None
    generator: torch.Generator
    evaluating: Callable[[], Any]
    best: BestEpoch | None
    watched_loss: Callable[[], float] | None

    def run(self) -> tuple[int, StoppedBecause]:
        """Train; return how many epochs were run, and why training ended."""
        stopped: StoppedBecause = "epochs"
        done = 0
        with progress.bar(stage="train", total=self.epochs, unit="epochs") as shown:
            for epoch in range(self.epochs):
                loss = self._epoch(epoch)
                done = epoch + 1
                shown.set(loss=f"{loss:.4g}")
                shown.update(1)
                if self._tolerance_reached():
                    stopped = "gradient-tolerance"
                    break
                if self.best is not None and self.best.should_stop(
                    self._watched(loss), self.module
                ):
                    stopped = "early-stopping"
                    break
        if self.best is not None and stopped != "gradient-tolerance":
            self.best.restore(self.module)
        return done, stopped

    def _epoch(self, epoch: int) -> float:
        """See all examples once; return the mean loss of the epoch's batches."""
        number = len(self.function.data.dataset)
        batches = random_batches(
            number, self.batch_size, self.generator, none_of_one=_normalizes_batches(self.module)
        )
        rates = self._learning_rates(epoch, len(batches))
        sums = [self._step(places, rate) for places, rate in zip(batches, rates, strict=True)]
        losses = torch.stack(sums)  # [batches]: looked at once an epoch, so that a GPU never waits
        if not bool(losses.isfinite().all()):
            first = int(losses.isfinite().logical_not().nonzero()[0])
            raise TrainingError(_diverged(epoch, first, losses))
        return float(losses.double().sum()) / number

    def _step(self, places: torch.Tensor, learning_rates: list[float] | None) -> torch.Tensor:
        """Take one step; return the sum of the batch's losses before it."""
        function = self.function
        batch = function.data.select(places)
        total = sum_of_losses(self.module, batch, function.objective, function.weights)
        gradients = torch.autograd.grad(
            total / batch.size, function.parameters, materialize_grads=True
        )
        for parameter, gradient in zip(
            function.parameters,
            with_penalty(gradients, function.parameters, function.weight_decay),
            strict=True,
        ):
            parameter.grad = gradient
        if self.gradient_clipping is not None:
            torch.nn.utils.clip_grad_norm_(function.parameters, self.gradient_clipping)
        if learning_rates is not None:
            for group, rate in zip(self.optimizer.param_groups, learning_rates, strict=True):
                group["lr"] = rate
        try:
            self.optimizer.step()
        except RuntimeError as error:
            raise TrainingError(f"a step of the optimizer failed: {error}") from error
        return total.detach()

    def _learning_rates(self, epoch: int, steps: int) -> Iterator[list[float] | None]:
        """Yield the learning rate of every parameter group for every step of an epoch."""
        if self.scheduler is None:
            yield from [None] * steps
            return
        for group in self.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        for step in range(steps):
            factor = self.scheduler.factor(epoch + step / steps, self.epochs)
            yield [group["initial_lr"] * factor for group in self.optimizer.param_groups]

    def _tolerance_reached(self) -> bool:
        if self.gradient_tolerance is None:
            return False
        with self.evaluating():
            return self.function.evaluate().gradient_norm <= self.gradient_tolerance

    def _watched(self, training_loss: float) -> float:
        if self.watched_loss is None:
            return training_loss
        with self.evaluating():
            return self.watched_loss()


def _normalizes_batches(module: torch.nn.Module) -> bool:
    """Whether a layer normalizes by the batch, which one example does not make."""
    kinds = torch.nn.modules.batchnorm._BatchNorm
    return any(isinstance(layer, kinds) for layer in module.modules())


def _diverged(epoch: int, batch: int, losses: torch.Tensor) -> str:
    found = (
        f"training diverged: the loss is {float(losses[batch]):g} in epoch {epoch + 1}, batch "
        f"{batch + 1} of {len(losses)}"
    )
    if epoch == 0 and batch == 0:
        return (
            f"{found}, with the initial weights: inputs or targets are very large or not finite, "
            "try a reader that standardizes them"
        )
    return (
        f"{found}: the steps are probably too large, try a smaller lr, a scheduler with "
        "warmup_epochs, or gradient_clipping"
    )
