"""Making a problem in Python, without a config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.data import Dataset, as_dataset
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.problem import Problem, ScoreModel
from hessinf.evaluation.query_overlap import overlap_warning
from hessinf.evaluation.score_models import further_seeds
from hessinf.evaluation.truth_store import TruthStore
from hessinf.models import Measurement, Model, Objective, as_objective
from hessinf.registry.catalogue import qualified_name
from hessinf.registry.plan import as_json
from hessinf.runtime.lazy_import import lazy_import
from hessinf.training import Trainer

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")


def make_problem(
    train: Any,
    queries: Any,
    model: str | dict[str, Any] | Callable[[int], torch.nn.Module],
    trainer: Trainer | None = None,
    *,
    folder: str | Path,
    module: torch.nn.Module | None = None,
    objective: Any = "cross-entropy",
    measurement: str | dict[str, Any] | Measurement = "loss",
    weight_decay: float | None = None,
    seed: int = 0,
    models: int = 1,
    device: str | torch.device = "cpu",
) -> Problem:
    """Say what attributions are judged on; train the models that are to be attributed.

    Parameters
    ----------
    train, queries
        Data sets, sequences of instances, or pairs of tensors.
    model
        How models are made: a registered name, its config, or a function that makes an untrained
        network from a seed of initial weights.
    trainer
        How they are trained; None where nothing is to be retrained.
    folder
        Where ground truth is kept. A function as ``model`` is known there by its name: take another
        folder when it is changed.
    module
        The trained network that is attributed, in the place of one that is trained now.
    objective, measurement
        The training loss, and what is attributed of a query.
    weight_decay
        What ``module`` was trained with; that of the trainer when None.
    seed
        The seed of everything random.
    models
        How many models are attributed; the further ones have other seeds.
    device
        Where to compute.

    Raises
    ------
    EvaluationError
        When there is neither a trainer nor a trained module, or queries are training data.
    """
    data, asked = as_dataset(train), as_dataset(queries)
    loss = as_objective(objective)
    overlap = overlap_warning(data, asked)
    make_module, recipe = _maker(model, data, loss)
    trained = [] if module is None else [ScoreModel(module.eval(), {}, seed)]
    seeds = [seed, *further_seeds(seed, models - 1)]
    for one in seeds[len(trained) :]:
        if trainer is None:
            raise EvaluationError("make_problem needs a trainer, or one trained module (models=1)")
        network = make_module(one)
        record = trainer.fit(network, data, loss, seed=one, device=device)
        trained.append(ScoreModel(network.cpu().eval(), record.to_json(), one))
    if weight_decay is None:
        weight_decay = 0.0 if trainer is None else trainer.weight_decay
    problem = Problem(
        train=data,
        queries=asked,
        objective=loss,
        measurement=measurement
        if isinstance(measurement, Measurement)
        else Measurement.from_config(measurement),
        trainer=trainer,
        make_module=make_module,
        models=tuple(trained),
        weight_decay=weight_decay,
        training_reduction="mean",
        recipe={**recipe, "objective": as_json(loss), "trainer": as_json(trainer)},
        store=TruthStore(Path(folder) / "ground_truth"),
        seed=seed,
        device=torch.device(device),
    )
    if overlap is not None:
        problem.warn(overlap)
    return problem


def _maker(
    model: str | dict[str, Any] | Callable[[int], torch.nn.Module], data: Dataset, loss: Objective
) -> tuple[Callable[[int], torch.nn.Module], dict[str, Any]]:
    """Return what makes untrained networks, and what it is called in keys of ground truth."""
    if callable(model):
        return model, {"model": qualified_name(model), "sizes": {}}
    shape = data.input_shape
    sizes = {
        "in_features": data.in_features,
        "out_features": loss.out_features(data),
        "input_shape": shape,
    }

    def make(seed: int) -> torch.nn.Module:
        made: Model = Model.from_config(model, **sizes, seed=seed)
        return made.module

    listed = None if shape is None else list(shape)
    return make, {"model": model, "sizes": {**sizes, "input_shape": listed}}
