"""Training step by step on random mini-batches: one model, or many of them together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from hessinf.runtime import progress
from hessinf.training.early_stopping import BestEpoch, EarlyStopping
from hessinf.training.ensemble import Ensemble
from hessinf.training.errors import TrainingError
from hessinf.training.objective_function import with_penalty
from hessinf.training.record import StoppedBecause
from hessinf.training.scheduler import Scheduler


@dataclass
class MiniBatchTraining:
    """A training run on mini-batches.

    Parameters
    ----------
    models
        What is trained, in place.
    optimizer
        The PyTorch optimizer of its parameters.
    scheduler
        What multiplies the learning rate over time, or None.
    epochs, batch_size
        How often the data are seen, and how many examples of a model make a step.
    gradient_clipping
        The largest 2-norm of a step's gradient, or None.
    gradient_tolerance
        The 2-norm of the whole objective's gradient at which to stop, or None.
    early_stopping
        When to stop because nothing gets better, or None.
    shown
        The bar that counts epochs, one for each model.
    """

    models: Ensemble
    optimizer: torch.optim.Optimizer
    scheduler: Scheduler | None
    epochs: int
    batch_size: int
    gradient_clipping: float | None
    gradient_tolerance: float | None
    early_stopping: EarlyStopping | None
    shown: progress.Bar
    _best: list[BestEpoch] = field(init=False, default_factory=list)
    _active: list[int] = field(init=False, default_factory=list)

    def run(self) -> list[tuple[int, StoppedBecause]]:
        """Train; return how many epochs each model was trained for, and why it ended."""
        number = len(self.models.sizes)
        outcomes: list[tuple[int, StoppedBecause]] = [(self.epochs, "epochs")] * number
        self._active = list(range(number))
        if self.early_stopping is not None:
            self._best = [BestEpoch(self.early_stopping) for _ in self._active]
        for epoch in range(self.epochs):
            losses = self._epoch(epoch)  # [M]
            self.shown.set(loss=f"{sum(losses) / len(losses):.4g}")
            self.shown.update(len(self._active))
            ended = self._ended(losses)
            for row, reason in ended.items():
                outcomes[self._active[row]] = (epoch + 1, reason)
            self._finish(ended)
            if not self._active:
                return outcomes
        self._finish(dict.fromkeys(range(len(self._active)), "epochs"))
        return outcomes

    def _epoch(self, epoch: int) -> list[float]:
        """See all examples once; return the mean loss of every model's batches."""
        batches = self.models.random_batches(self.batch_size)
        rates = self._learning_rates(epoch, len(batches))
        sums = [self._step(batch, rate) for batch, rate in zip(batches, rates, strict=True)]
        # Looked at once an epoch, so that a GPU never waits.
        losses = torch.stack(sums).reshape(len(batches), -1).cpu()  # [steps, M]
        finite = losses.isfinite()
        if not bool(finite.all()):
            row = int(finite.all(0).logical_not().nonzero()[0])
            raise TrainingError(self.models.name_of(row) + _diverged(epoch, losses[:, row]))
        totals = losses.double().sum(0).tolist()  # [M]
        return [total / self.models.sizes[k] for total, k in zip(totals, self._active, strict=True)]

    def _step(self, batch: object, learning_rates: list[float] | None) -> torch.Tensor:
        """Take one step; return the sum of each model's losses before it."""
        parameters = self.models.parameters
        sums, mean = self.models.losses(batch)
        gradients = torch.autograd.grad(mean, parameters, materialize_grads=True)
        for parameter, gradient in zip(
            parameters, with_penalty(gradients, parameters, self.models.weight_decay), strict=True
        ):
            parameter.grad = gradient
        if self.gradient_clipping is not None:
            self.models.clip(self.gradient_clipping)
        if learning_rates is not None:
            for group, rate in zip(self.optimizer.param_groups, learning_rates, strict=True):
                group["lr"] = rate
        try:
            self.optimizer.step()
        except RuntimeError as error:
            raise TrainingError(f"a step of the optimizer failed: {error}") from error
        return sums.detach()

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

    def _ended(self, training_losses: Sequence[float]) -> dict[int, StoppedBecause]:
        """Find the models that this epoch was the last one for."""
        ended: dict[int, StoppedBecause] = {}
        if self.gradient_tolerance is not None:
            for row, standing in enumerate(self.models.standings()):
                if standing.gradient_norm <= self.gradient_tolerance:
                    ended[row] = "gradient-tolerance"
        if self.early_stopping is not None and len(ended) < len(self._active):
            losses = self.models.watched_losses() or training_losses
            for row, (model, loss) in enumerate(zip(self._active, losses, strict=True)):
                if row not in ended and self._best[model].should_stop(loss, self.models.state(row)):
                    ended[row] = "early-stopping"
        return ended

    def _finish(self, ended: dict[int, StoppedBecause]) -> None:
        """Leave models as they are, or as they were in their best epoch."""
        if not ended:
            return
        for row, reason in ended.items():
            if self._best and reason != "gradient-tolerance":
                self._best[self._active[row]].restore(self.models.state(row))
        self.models.finish(list(ended), self.optimizer)
        self._active = [model for row, model in enumerate(self._active) if row not in ended]


def _diverged(epoch: int, losses: torch.Tensor) -> str:
    """Say where the first of a model's losses ``[steps]`` that is not finite was."""
    batch = int(losses.isfinite().logical_not().nonzero()[0])
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
