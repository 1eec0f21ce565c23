"""What models do that are trained again without some of the training examples.

They begin with new random weights: a model that goes on from the trained one still knows what is
removed, and would make every removal look harmless.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hessinf.data import Dataset
from hessinf.evaluation.predictions import has_classes
from hessinf.evaluation.problem import Problem
from hessinf.evaluation.retraining_parts import train_in_parts
from hessinf.models.measurement import Margin
from hessinf.runtime.randomness import derive_seed
from hessinf.training import Member, TrainedMembers

VERSION = 1
"""Of what is measured, and of how seeds are derived."""


@dataclass(frozen=True, eq=False)
class Removal:
    """One model to train.

    Parameters
    ----------
    removed
        Places of the training examples that it does without, in any order.
    repeat
        Which seed it has: models of the same repeat begin with the same weights, whatever is
        removed, so that comparisons between them are paired.
    """

    removed: Sequence[int] | np.ndarray
    repeat: int


def retrain_without(
    problem: Problem, what: str, removals: Sequence[Removal], queries: Dataset, *, stage: str
) -> dict[str, np.ndarray]:
    """Train a model for each removal, or read what was kept of them.

    Models that would be the same are trained once.

    Parameters
    ----------
    problem
        Data and recipe; what is found is kept in its store.
    what
        Who asks, for messages.
    removals
        S of them.
    queries
        Q examples that every model is tried on.
    stage
        What the progress bar is called.

    Returns
    -------
    dict of str to numpy.ndarray
        In the order of ``removals``: ``"losses"`` ``[S, Q]``, float32; where each query has one
        class also ``"classes"`` ``[S, Q]``, which are predicted, and ``"margins"`` ``[S, Q]``,
        float32, the log-odds of the right class.

    Raises
    ------
    EvaluationError
        When nothing can be trained, or training diverges.
    """
    cases: dict[tuple[bytes, int], int] = {}
    places = [
        cases.setdefault((_sorted(removal.removed).tobytes(), removal.repeat), len(cases))
        for removal in removals
    ]
    digest = hashlib.sha256()
    for removed, repeat in cases:
        digest.update(f"{repeat} {len(removed)}\n".encode() + removed)
    members = [
        Member(
            np.setdiff1d(np.arange(len(problem.train)), np.frombuffer(removed, "<i8")).tolist(),
            repeat_seed(problem.seed, repeat),
        )
        for removed, repeat in cases
    ]
    arrays = problem.store.produce(
        "removal-retraining",
        {
            "version": VERSION,
            "recipe": problem.recipe,
            "train": problem.train.fingerprint(),
            "queries": queries.fingerprint(),
            "seed": problem.seed,
            "models": len(cases),
            "removals": digest.hexdigest(),
        },
        lambda parts: train_in_parts(
            problem,
            what,
            members,
            lambda trained: _measure(trained, problem, queries),
            parts,
            stage=stage,
        ),
    )
    return {name: values[places] for name, values in arrays.items()}


def repeat_seed(seed: int, repeat: int) -> int:
    """Derive the seed of the models of one repeat: none is that of a model that is attributed."""
    return derive_seed(seed, f"evaluation.removal/{repeat}")


def _sorted(removed: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.unique(np.asarray(removed, dtype="<i8"))  # [k]


def _measure(trained: TrainedMembers, problem: Problem, queries: Dataset) -> dict[str, np.ndarray]:
    objective = problem.objective
    arrays = {"losses": trained.values(queries, objective).astype(np.float32)}  # [M, Q]
    if has_classes(queries):
        margins = trained.values(queries, objective, Margin())  # [M, Q]
        classes = torch.stack([objective.predictions(out) for out in trained.outputs(queries)])
        arrays["margins"] = margins.astype(np.float32)
        arrays["classes"] = classes.numpy().astype(np.int32)  # [M, Q]
    return arrays
