"""From a config to the problem that attributions are judged on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hessinf.commands.run import (
    RunData,
    archive_config,
    check_before_training,
    make_model,
    train_or_load,
    trained_with,
)
from hessinf.commands.run_config import CheckedConfig, RunConfig
from hessinf.commands.stages import Stages
from hessinf.errors import HessinfError
from hessinf.evaluation import evaluation
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.evaluation_config import EvaluationConfig
from hessinf.evaluation.problem import Problem, ScoreModel
from hessinf.evaluation.query_overlap import overlap_warning
from hessinf.evaluation.score_models import further_seeds, train_score_models
from hessinf.evaluation.truth_store import TruthStore
from hessinf.evaluation.warm_starts import warn_of_warm_starts
from hessinf.interpreters import InfluenceInterpreter
from hessinf.models import ArchiveModel, Model
from hessinf.registry import ConfigError, Lazy
from hessinf.registry import Problem as ConfigProblem
from hessinf.runtime.files import remove_unfinished

GROUND_TRUTH = "ground_truth"
FURTHER_MODELS = "score_models"


def build_problem(
    config: RunConfig,
    checked: CheckedConfig,
    data: RunData,
    folder: Path,
    device: torch.device,
    *,
    settings: EvaluationConfig | None = None,
    stages: Stages | None = None,
) -> Problem:
    """Train the models to be attributed, or load them, and say what they are judged on.

    Parameters
    ----------
    config, checked, data
        The run; ``data.test`` are the queries.
    folder
        The run's directory: models are kept there, and ground truth, unless ``settings`` name
        another place for it.
    device
        Where to compute.
    settings
        How many models, and where ground truth is kept; those of the config when None.
    stages
        Told what each stage takes.

    Returns
    -------
    Problem
        Whose ``warnings`` say what was found to be odd.

    Raises
    ------
    HessinfError
        When queries are training data, or further models cannot be trained.
    """
    settings = settings or config.evaluation or EvaluationConfig()
    problem = untrained_problem(config, checked, data, folder, device, settings=settings)
    for place in (GROUND_TRUTH, FURTHER_MODELS):
        if (folder / place).exists():
            remove_unfinished(folder / place)
    measure = stages.stage if stages is not None else _not_measured
    with measure("model"):
        module, training = train_or_load(config, checked, data, folder, device)
    models: tuple[ScoreModel, ...] = (ScoreModel(module.eval(), training, config.seed),)
    if settings.models > 1:
        trainer = problem.require_trainer("evaluation.models")
        with measure("further models"):
            models += train_score_models(
                trainer,
                problem.make_module,
                data.train,
                config.objective,
                further_seeds(config.seed, settings.models - 1),
                device=device,
                memory_limit=settings.memory_limit,
                validation=data.validation,
                folder=folder / FURTHER_MODELS,
                archive_config=archive_config(config, checked, make_model(config, data)),
            )
    problem = replace(problem, models=models, **trained_with(config, training))
    warn_of_warm_starts(problem)
    return problem


def untrained_problem(
    config: RunConfig,
    checked: CheckedConfig,
    data: RunData,
    folder: Path,
    device: torch.device,
    *,
    settings: EvaluationConfig,
) -> Problem:
    """Say what attributions are judged on, as far as it is known before a model is trained.

    Parameters
    ----------
    config, checked, data, folder, device, settings
        As for :func:`build_problem`; nothing is written.

    Returns
    -------
    Problem
        Without models.

    Raises
    ------
    HessinfError
        When queries are training data, or further models cannot be trained.
    """
    if data.test is None:
        raise ValueError("data without queries: read them with test=True")
    overlap = overlap_warning(data.train, data.test)
    model = make_model(config, data)
    if settings.models > 1 and (config.trainer is None or model.weights is not None):
        raise ConfigError(
            [
                ConfigProblem(
                    "evaluation.models",
                    f"{settings.models} models need a trainer, and a model with random initial "
                    "weights: the further ones are trained with other seeds",
                )
            ]
        )

    def make_module(seed: int) -> torch.nn.Module:
        return _untrained(config, model, seed).module

    store = TruthStore(settings.ground_truth or folder / GROUND_TRUTH)
    if settings.ground_truth:
        try:
            store.require_place()
        except EvaluationError as error:
            raise EvaluationError(f"evaluation.ground_truth: {error}") from error
    resolved = checked.resolved()
    training = dict(getattr(model, "training", {}))
    if config.trainer is not None:
        training |= {"weight_decay": config.trainer.weight_decay}
    arguments = trained_with(config, training)
    problem = Problem(
        train=data.train,
        queries=data.test,
        objective=config.objective,
        measurement=config.measurement,
        trainer=config.trainer,
        make_module=make_module,
        models=(),
        weight_decay=arguments["weight_decay"],
        training_reduction=arguments["training_reduction"],
        recipe={
            "model": resolved["model"],
            "sizes": {name: size for name, size in model.sizes.items() if name != "seed"},
            "objective": resolved["objective"],
            "trainer": resolved["trainer"],
            "validation_data": None
            if data.validation is None or config.trainer is None
            else data.validation.fingerprint(),
        },
        store=store,
        seed=config.seed,
        device=device,
        memory_limit=settings.memory_limit,
        executor=config.executor,
        validation=data.validation,
        cannot_retrain=_warm_start(model),
    )
    if overlap is not None:
        problem.warn(overlap)
    return problem


def methods(config: RunConfig, settings: EvaluationConfig) -> dict[str, Lazy[InfluenceInterpreter]]:
    """Return what is judged, by the names of the rows: the config's own interpreter first."""
    own = {own_row(config): _batched(config.interpreter, config)}
    return own | {name: _batched(method, config) for name, method in settings.methods.items()}


def check_methods(
    config: RunConfig, settings: EvaluationConfig, data: RunData, device: torch.device
) -> None:
    """Find methods that would fail after a long training, by an untrained model.

    Raises
    ------
    HessinfError
        With the name of the row.
    """
    for name, method in settings.methods.items():
        # The rest of the config was found to be right, with its own interpreter.
        alone = replace(config, interpreter=method, evaluation=None, cuda_device=None)
        try:
            check_before_training(alone, data, device)
        except ConfigError:
            raise
        except HessinfError as error:
            raise EvaluationError(f"evaluation.methods.{name}: {error}") from error


def check_metrics(settings: EvaluationConfig, problem: Problem) -> None:
    """Find metrics that would refuse the problem after a long training.

    Parameters
    ----------
    settings
        Which metrics there are.
    problem
        What :func:`untrained_problem` returned.

    Raises
    ------
    EvaluationError
        With the name that the metric has in the config.
    """
    for name, metric in settings.metrics.items():
        try:
            evaluation.check_metrics({name: metric}, problem)
        except HessinfError as error:
            raise EvaluationError(f"evaluation.metrics.{name}: {error}") from error


def own_row(config: RunConfig) -> str:
    """Return the name of the row of the config's own interpreter."""
    return str((config.interpreter.spec or {})["type"])


def _batched(method: Lazy[InfluenceInterpreter], config: RunConfig) -> Lazy[InfluenceInterpreter]:
    """Tell a method how examples are put together, where the config does."""
    said = config.data_loader.arguments()
    if not said or method.spec.get("batch_size", "auto") != "auto":
        return method

    def construct(**arguments: Any) -> InfluenceInterpreter:
        return method.construct(**said, **arguments)

    return Lazy(construct, spec=method.spec)


def _untrained(config: RunConfig, model: Model, seed: int) -> Model:
    """Return the recipe of a model with initial weights of another seed."""
    sizes = {name: getattr(model, name) for name in ("in_features", "out_features", "input_shape")}
    made: Model = config.model.construct(**sizes, seed=seed)
    return made


def _warm_start(model: Model) -> str:
    """Say why models that are made anew would know training data; empty where they would not."""
    if isinstance(model, ArchiveModel):
        return '"model" is an archive, whose weights each of them has; name an untrained model'
    if model.weights is None:
        return ""
    return (
        f'"model.weights" starts each of them from "{model.weights}": a warm start, which carries '
        "over what that file was trained on; leave model.weights out, so that models start from "
        "random weights"
    )


_not_measured: Callable[[str], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
