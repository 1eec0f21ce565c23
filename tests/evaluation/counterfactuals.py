"""Problems where it is known what each prediction rests on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hessinf.data import Dataset, DatasetReader
from hessinf.evaluation.problem import Problem
from hessinf.training import Trainer
from hessinf.training.gradient_optimizers import Sgd
from tests.evaluation.problems import problem_of

TRAINER = Trainer(optimizer=Sgd(lr=0.1, momentum=0.9), epochs=20, batch_size=16, weight_decay=1e-3)
"""Models of one problem are trained as one batched program, in milliseconds each."""
LOGISTIC = {"type": "logistic-regression", "dtype": "float64"}

FAR = 10
"""So many of the second class lie far from the others of it, where the queries are."""


def planted_problem(folder: Path, **changes: Any) -> Problem:
    """Two classes of 40 and 50, and queries whose class is that of ten examples beside them.

    Without the ten, a line between the others puts the queries into the first class. The last query
    is at home among the first class, whatever is removed.
    """
    random = np.random.default_rng(0)
    means = [(0, 0)] * 40 + [(4, 0)] * 40 + [(0, 6)] * FAR
    inputs = np.array(means) + 0.3 * random.normal(size=(len(means), 2))  # [N, 2]
    targets = torch.tensor([0] * 40 + [1] * (40 + FAR))
    places = np.array([(0, 6)] * 6 + [(0, 0)]) + 0.3 * random.normal(size=(7, 2))  # [Q, 2]
    return problem_of(
        Dataset.from_columns(torch.tensor(inputs), targets),
        Dataset.from_columns(torch.tensor(places), torch.tensor([1] * 6 + [0])),
        LOGISTIC,
        TRAINER,
        folder=folder,
        **changes,
    )


def planted_scores(problem: Problem) -> np.ndarray:
    """Return scores that know the ten."""
    scores = np.zeros((len(problem.queries), len(problem.train)))  # [Q, N]
    scores[:6, -FAR:] = 1
    return scores


def mislabelled_problem(folder: Path, **changes: Any) -> Problem:
    """A fifth of the labels of two overlapping classes of 60 is wrong, 60 queries are right."""
    random = np.random.default_rng(1)

    def draw(number: int) -> Dataset:
        targets = np.arange(number) % 2  # [N]
        inputs = random.normal(size=(number, 2)) + 1.5 * targets[:, None]  # [N, 2]
        return Dataset.from_columns(torch.tensor(inputs), torch.tensor(targets))

    train, queries = draw(120), draw(60)
    wrong = random.permutation(120)[:24]
    # More of one class than of the other, so that the boundary moves.
    labels = {int(place): 1 for place in wrong if int(train.targets[place]) == 0}
    return problem_of(
        train.relabelled(labels), queries, LOGISTIC, TRAINER, folder=folder, **changes
    )


def regression_problem(folder: Path, **changes: Any) -> Problem:
    """Progress of diabetes by a linear model, on 80 patients."""
    reader = DatasetReader.from_config(
        {"type": "diabetes", "standardize_target": True, "dtype": "float64"}
    )
    return problem_of(
        reader.read("train")[:80],
        reader.read("test")[:20],
        {"type": "linear-regression", "dtype": "float64"},
        replace(TRAINER, optimizer=Sgd(lr=0.01, momentum=0.9)),
        folder=folder,
        objective="mean-squared-error",
        **changes,
    )
