"""Removing, for some queries, what each of them is said to rest on, and training again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hessinf.data import Dataset
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.problem import Problem
from hessinf.evaluation.removal_retraining import Removal, retrain_without
from hessinf.runtime.randomness import derive_seed


@dataclass(frozen=True, eq=False)
class ChosenQueries:
    """Some of the queries, and what models say of them that are trained on everything.

    Parameters
    ----------
    places
        Which queries, ascending, ``[Q']``.
    queries
        These queries.
    kept
        Of R new models trained on all training examples: what :func:`retrain_without` returns,
        ``[R, Q']``.
    """

    places: np.ndarray
    queries: Dataset
    kept: dict[str, np.ndarray]


def choose_queries(
    problem: Problem, what: str, count: int, eligible: np.ndarray, repeats: int
) -> ChosenQueries:
    """Draw queries, and train models without removing anything, for comparison.

    Parameters
    ----------
    problem
        Its seed decides the draw.
    what
        Who asks: the registered name of a metric.
    count
        How many to draw; all that are eligible where there are fewer.
    eligible
        Which queries may be drawn, ``[Q]`` of bool.
    repeats
        How many models to train.

    Returns
    -------
    ChosenQueries

    Raises
    ------
    EvaluationError
        When no query is eligible.
    """
    candidates = np.flatnonzero(eligible)  # [*]
    if not len(candidates):
        raise EvaluationError(
            f'"{what}" looks at queries that the model puts into their class, and it does so for '
            f"none of {len(eligible)}; train it better"
        )
    random = np.random.default_rng(derive_seed(problem.seed, f"evaluation.{what}.queries"))
    drawn = random.permutation(len(candidates))[:count]  # [Q']
    places = np.sort(candidates[drawn])  # [Q']
    queries = problem.queries.subset(places.tolist())
    nothing = [Removal((), repeat) for repeat in range(repeats)]
    kept = retrain_without(problem, what, nothing, queries, stage="training on everything")
    return ChosenQueries(places, queries, kept)


def retrain_by_query(
    problem: Problem,
    what: str,
    removed: Sequence[Sequence[np.ndarray]],
    chosen: ChosenQueries,
    repeats: int,
    *,
    stage: str,
) -> dict[str, np.ndarray]:
    """Train models without what is removed for a query, and see what they say of this query.

    Parameters
    ----------
    problem, what
        As for :func:`choose_queries`.
    removed
        For each query K sets of places.
    chosen
        The queries.
    repeats
        How many models are trained without each set, R.
    stage
        What the progress bar is called.

    Returns
    -------
    dict of str to numpy.ndarray
        What :func:`retrain_without` returns, ``[Q', K, R]``.
    """
    removals = [
        Removal(places, repeat) for sets in removed for places in sets for repeat in range(repeats)
    ]
    found = retrain_without(problem, what, removals, chosen.queries, stage=stage)
    number = len(removed)
    every = np.arange(number)

    def own(values: np.ndarray) -> np.ndarray:
        by_query = values.reshape(number, -1, repeats, number)  # [Q', K, R, Q']
        return by_query[every, :, :, every]  # [Q', K, R]

    return {name: own(values) for name, values in found.items()}
