"""Attributions and problems whose numbers are given, for tests of what metrics make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from hessinf.data import Dataset
from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.metric import Conclusion, Judgement, Metric
from hessinf.evaluation.problem import Problem, ScoreModel
from hessinf.evaluation.truth_store import TruthStore
from hessinf.models import Measurement, Objective


class FixedScores(Attribution):
    """Scores for each model as they were given."""

    def __init__(self, name: str, *matrices: Any) -> None:
        super().__init__(name, len(matrices))
        self.matrices = [np.asarray(matrix, dtype=np.float64) for matrix in matrices]

    def scores(self, model: int = 0) -> np.ndarray:
        return self.matrices[model]


def labelled(
    labels: list[int], displays: list[dict[str, Any]] | None = None, *, inputs: Any = None
) -> Dataset:
    """Examples with given classes; their inputs are numbers, one each."""
    values = torch.arange(len(labels)) if inputs is None else torch.tensor(inputs)
    return Dataset.from_columns(
        values[:, None].double(),
        torch.tensor(labels),
        displays=None if displays is None else [{"label": "?", **x} for x in displays],
        label_names=["a", "b", "c"],
    )


class Predicts(torch.nn.Module):
    """Gives the class that the input says; weights that depend on a seed, so that models differ."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(float(seed), dtype=torch.float64))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        classes = inputs[:, 0].long() % 3
        return torch.nn.functional.one_hot(classes, 3).double() + 0 * self.weight


def problem_with(
    train: Dataset, queries: Dataset, folder: Path, *, models: int = 1, **changes: Any
) -> Problem:
    """A problem whose models predict the class ``input mod 3``."""
    arguments: dict[str, Any] = {
        "train": train,
        "queries": queries,
        "objective": Objective.from_config("cross-entropy"),
        "measurement": Measurement.from_config("loss"),
        "trainer": None,
        "make_module": Predicts,
        "models": tuple(ScoreModel(Predicts(k).eval(), {}, k) for k in range(models)),
        "weight_decay": 0.0,
        "training_reduction": "mean",
        "recipe": {},
        "store": TruthStore(folder),
        "seed": 0,
        "device": torch.device("cpu"),
    }
    return Problem(**{**arguments, **changes})


def concluded(
    metric: Metric, rows: list[Attribution], problem: Problem
) -> tuple[dict[str, Judgement], Conclusion]:
    """What a metric says of rows, whatever they are called."""
    metric.check(problem)
    truth = metric.prepare(problem)
    judgements = {}
    for row in rows:
        judgement = metric.measure(row, truth, problem)
        assert judgement is not None
        judgements[row.name] = judgement
    return judgements, metric.conclude(judgements, truth, problem)
