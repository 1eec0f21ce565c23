"""Training one model."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, cast

from hessinf.models.objective import Objective
from hessinf.registry import Above, AtLeast
from hessinf.registry.plan import as_json
from hessinf.runtime import progress, randomness
from hessinf.runtime.lazy_import import lazy_import
from hessinf.training.early_stopping import EarlyStopping
from hessinf.training.errors import TrainingError
from hessinf.training.gradient_optimizers import Sgd
from hessinf.training.optimizer import Optimizer
from hessinf.training.record import StoppedBecause, TrainingRecord
from hessinf.training.scheduler import Scheduler

if TYPE_CHECKING:
    import torch

    from hessinf import data
    from hessinf.data import batching
    from hessinf.training import (
        full_batch,
        mini_batches,
        module_state,
        objective_function,
        single_model,
    )
    from hessinf.training.ensemble import Ensemble
    from hessinf.training.single_model import SingleModel
else:
    torch = lazy_import("torch")
    data = lazy_import("hessinf.data")
    batching = lazy_import("hessinf.data.batching")
    full_batch = lazy_import("hessinf.training.full_batch")
    mini_batches = lazy_import("hessinf.training.mini_batches")
    module_state = lazy_import("hessinf.training.module_state")
    objective_function = lazy_import("hessinf.training.objective_function")
single_model = lazy_import("hessinf.training.single_model")

EVALUATION_BATCH_SIZE = 1024
"""Examples that go through the network at once where no step depends on their number."""


@dataclass
class Trainer:
    """Minimize ``mean loss + ½ weight_decay ‖θ‖²`` over the training examples.

    Parameters
    ----------
    optimizer
        The rule of steps: its name, or its name and arguments.
    scheduler
        How the learning rate changes over time; it stays as it is when null.
    epochs
        How often the data are seen; for "lbfgs" the largest number of iterations.
    batch_size
        How many examples make a step; "lbfgs" takes all.
    weight_decay
        The factor of ``½‖θ‖²`` over all trained parameters, biases included, for every optimizer
        alike. It is a part of the objective, and so of its curvature. (A penalty ``λ‖θ‖²`` without
        ½ is a weight decay of ``2λ``.)
    gradient_tolerance
        Stop when the 2-norm of the gradient of the whole objective is this small. Other optimizers
        than "lbfgs" then compute it after every epoch, which costs about as much as the epoch.
    early_stopping
        When to stop because the validation loss gets no better.
    gradient_clipping
        The largest 2-norm of a step's gradient; larger ones are scaled down to it.
    """

    optimizer: Optimizer = field(default_factory=lambda: Sgd(lr=0.01, momentum=0.9))
    scheduler: Scheduler | None = None
    epochs: Annotated[int, AtLeast(0)] = 100
    batch_size: Annotated[int, AtLeast(1)] = 32
    weight_decay: Annotated[float, AtLeast(0)] = 0.0
    gradient_tolerance: Annotated[float, Above(0)] | None = None
    early_stopping: EarlyStopping | None = None
    gradient_clipping: Annotated[float, Above(0)] | None = None

    def __post_init__(self) -> None:
        """Refuse what an optimizer over all examples makes no use of."""
        if self.optimizer.full_batch:
            for name in ("scheduler", "early_stopping", "gradient_clipping"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name} has no meaning for an optimizer that takes all examples at once "
                        "and searches its own step lengths; leave it out"
                    )

    def fit(
        self,
        module: torch.nn.Module,
        dataset: data.Dataset,
        objective: Objective,
        *,
        seed: int,
        validation: data.Dataset | None = None,
        device: str | torch.device = "cpu",
        example_weights: torch.Tensor | None = None,
        bar: progress.Bar | None = None,
    ) -> TrainingRecord:
        """Train a module in place.

        Its modes and ``.grad`` are left as they were found, and so are PyTorch's own random
        generators. "lbfgs" trains in evaluation mode (no dropout, running statistics), because it
        needs a function; the others in training mode. The record's numbers are those of evaluation
        mode.

        Parameters
        ----------
        module
            The network. It is moved to ``device`` and stays there. Parameters that do not require
            gradients stay as they are.
        dataset
            The training data, or whatever :func:`hessinf.data.as_dataset` takes.
        objective
            The loss of an example.
        seed
            The run's seed: the order of examples, and dropout, come from it.
        validation
            Data that early stopping watches; the training loss is watched without.
        device
            Where to train.
        example_weights
            A weight for every example, ``[N]``, 0 or more: the objective is the weighted mean.
            Examples of weight 0 are left out, so that weights of 0 and 1 train the same model as
            the subset does.
        bar
            What counts the epochs; a bar of its own where there is none.

        Returns
        -------
        TrainingRecord

        Raises
        ------
        TrainingError
            When nothing can be trained, the weights are no weights, or training diverges.
        """
        device = torch.device(device)
        dataset = data.as_dataset(dataset)
        parameters = module_state.trained_parameters(module)
        if not len(dataset):
            raise TrainingError("there are no examples to train on")
        dataset, weights = _weighted(dataset, example_weights)
        module.to(device)

        def function(of: data.Dataset, weights: torch.Tensor | None) -> Any:
            dtype = parameters[0].dtype
            if weights is not None:
                weights = weights.to(device, dtype)
            batches = batching.Batches(of, EVALUATION_BATCH_SIZE, device, dtype)
            return objective_function.FullObjective(
                module, parameters, batches, objective, weights, self.weight_decay
            )

        training = function(dataset, weights)
        watched = None if validation is None else function(data.as_dataset(validation), None)
        model = single_model.SingleModel(module, training, watched, seed)
        unit = "iterations" if self.optimizer.full_batch else "epochs"
        with (
            progress.bar(stage="train", total=self.epochs, unit=unit)
            if bar is None
            else nullcontext(bar) as shown,
            module_state.gradients_kept(module),
            module_state.random_numbers_from(randomness.derive_seed(seed, "trainer.noise"), device),
        ):
            return self.train(model, shown)[0]

    def train(self, models: Ensemble, bar: progress.Bar) -> list[TrainingRecord]:
        """Train models that take their steps together; :meth:`fit` is this with one of them.

        Parameters
        ----------
        models
            The models, with their data.
        bar
            Counts epochs, one for each model.

        Returns
        -------
        list of TrainingRecord
            Of every model; the seconds are shared out evenly.
        """
        started = time.perf_counter()
        initial = models.standings()
        outcomes = self._run(models, bar)
        final = models.standings()
        seconds = (time.perf_counter() - started) / len(final)
        return [
            TrainingRecord(
                weight_decay=self.weight_decay,
                reduction="mean",
                optimizer=as_json(self.optimizer),
                epochs=epochs,
                stopped_because=stopped,
                loss=after.loss,
                objective=after.objective,
                gradient_norm=after.gradient_norm,
                relative_gradient_norm=(
                    after.gradient_norm / before.gradient_norm if before.gradient_norm else None
                ),
                gradient_tolerance=self.gradient_tolerance,
                num_examples=size,
                num_parameters=models.num_parameters,
                seconds=seconds,
                seed=seed,
            )
            for before, after, (epochs, stopped), size, seed in zip(
                initial, final, outcomes, models.sizes, models.seeds, strict=True
            )
        ]

    def _run(self, models: Ensemble, bar: progress.Bar) -> list[tuple[int, StoppedBecause]]:
        """Train; return how many epochs were run for each model, and why training ended."""
        optimizer = self.optimizer.build(models.parameters)
        if self.optimizer.full_batch:
            only = cast("SingleModel", models)  # such optimizers have no other ensembles
            with only.evaluating():
                return [
                    full_batch.minimize(
                        only.function,
                        optimizer,
                        iterations=self.epochs,
                        gradient_tolerance=self.gradient_tolerance,
                        shown=bar,
                    )
                ]
        run = mini_batches.MiniBatchTraining(
            models=models,
            optimizer=optimizer,
            scheduler=self.scheduler,
            epochs=self.epochs,
            batch_size=self.batch_size,
            gradient_clipping=self.gradient_clipping,
            gradient_tolerance=self.gradient_tolerance,
            early_stopping=self.early_stopping,
            shown=bar,
        )
        with module_state.mode(models.module, training=True):
            return run.run()


def _weighted(
    dataset: data.Dataset, example_weights: torch.Tensor | None
) -> tuple[data.Dataset, torch.Tensor | None]:
    """Leave examples of weight 0 out; give the others weights with mean 1, or None for all 1."""
    if example_weights is None:
        return dataset, None
    weights = torch.as_tensor(example_weights).detach().cpu().double()  # [N]
    if weights.shape != (len(dataset),):
        raise TrainingError(
            f"example_weights has shape {list(weights.shape)}, expected one weight for each of "
            f"{len(dataset)} examples"
        )
    wrong = (~(weights >= 0) | weights.isinf()).nonzero().flatten().tolist()
    if wrong:
        raise TrainingError(
            f"example_weights[{wrong[0]}] is {float(weights[wrong[0]]):g}, expected a finite "
            "weight of 0 or more"
        )
    included = weights.nonzero().flatten()  # [N']
    if not len(included):
        raise TrainingError("example_weights are all 0, so that no example is left to train on")
    weights = weights[included]
    subset = dataset if len(included) == len(dataset) else dataset.subset(included.tolist())
    if bool((weights == weights[0]).all()):
        return subset, None
    return subset, weights / weights.mean()
