"""Small problems that metrics and attributions are tried on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hessinf.data import Dataset, DatasetReader
from hessinf.evaluation.making import make_problem
from hessinf.evaluation.problem import Problem
from hessinf.training import Trainer
from hessinf.training.lbfgs import Lbfgs


def small_problem(
    folder: Path,
    *,
    train_size: int = 60,
    queries: int = 12,
    weight_decay: float = 0.02,
    seed: int = 0,
    **changes: Any,
) -> Problem:
    """A convex problem: logistic regression of wines, in float64, trained to its minimum.

    A model takes some 50 ms. Ground truth is kept below ``folder``; ``changes`` replace
    arguments of :class:`Problem`.
    """
    reader = DatasetReader.from_config({"type": "wine", "test_ratio": 0.2, "dtype": "float64"})
    return problem_of(
        reader.read("train")[:train_size],
        reader.read("test")[:queries],
        {"type": "logistic-regression", "dtype": "float64"},
        Trainer(optimizer=Lbfgs(), epochs=300, gradient_tolerance=1e-9, weight_decay=weight_decay),
        folder=folder,
        seed=seed,
        **changes,
    )


def small_network_problem(
    folder: Path,
    *,
    train_size: int = 80,
    queries: int = 12,
    epochs: int = 30,
    seed: int = 0,
    models: int = 1,
    **changes: Any,
) -> Problem:
    """A problem that is not convex: a network of 8 hidden units on wines, float32, SGD.

    A model takes some 100 ms. Ground truth is kept below ``folder``; ``changes`` replace
    arguments of :class:`Problem`.
    """
    reader = DatasetReader.from_config({"type": "wine", "test_ratio": 0.2})
    return problem_of(
        reader.read("train")[:train_size],
        reader.read("test")[:queries],
        {"type": "mlp", "hidden_sizes": [8], "activation": "tanh"},
        Trainer(epochs=epochs, batch_size=16, weight_decay=1e-3),
        folder=folder,
        seed=seed,
        models=models,
        **changes,
    )


def problem_of(
    train: Dataset,
    queries: Dataset,
    model: dict[str, Any],
    trainer: Trainer,
    *,
    folder: Path,
    objective: str = "cross-entropy",
    measurement: str = "loss",
    seed: int = 0,
    models: int = 1,
    **changes: Any,
) -> Problem:
    """Make a problem of data and a recipe; ``changes`` replace arguments of :class:`Problem`."""
    problem = make_problem(
        train,
        queries,
        model,
        trainer,
        folder=folder,
        objective=objective,
        measurement=measurement,
        seed=seed,
        models=models,
    )
    return replace(problem, warnings=[], **changes)
