"""Training many models for a ground truth, part by part, so that a killed run can go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.problem import Problem
from hessinf.evaluation.truth_store import TruthParts
from hessinf.training import Member, TrainedMembers, chunks_of, train_members

PLACES = "places"


def train_in_parts(
    problem: Problem,
    what: str,
    members: Sequence[Member],
    measure: Callable[[TrainedMembers], dict[str, np.ndarray]],
    parts: TruthParts,
    *,
    stage: str,
) -> dict[str, np.ndarray]:
    """Train models that no part has yet, and put what was measured of all of them together.

    Parameters
    ----------
    problem
        Data and recipe.
    what
        Who asks, for messages.
    members
        Which models, M of them.
    measure
        Measures some trained models: arrays ``[models, ...]`` by name.
    parts
        Where finished parts are kept.
    stage
        What the progress bar is called.

    Returns
    -------
    dict of str to numpy.ndarray
        ``[M, ...]``, in the order of ``members``.

    Raises
    ------
    EvaluationError
        When nothing can be trained, or a measured number is not finite.
    """
    arguments = (
        problem.require_trainer(what),
        problem.make_module,
        problem.train,
        problem.objective,
        members,
    )
    chunks = chunks_of(*arguments, memory_limit=problem.memory_limit)
    for trained in train_members(
        *arguments,
        device=problem.device,
        memory_limit=problem.memory_limit,
        validation=problem.validation,
        finished=_finished(parts, chunks),
        stage=stage,
    ):
        arrays = measure(trained)
        _require_finite(arrays, trained, what)
        parts.add(trained.chunk, {PLACES: _ends(chunks[trained.chunk]), **arrays})
    found = list(parts.all(len(chunks)))
    return {
        name: np.concatenate([part[name] for part in found]) for name in found[0] if name != PLACES
    }


def _finished(parts: TruthParts, chunks: Sequence[range]) -> set[int]:
    """Return the chunks that are there; those of another division of the models are not."""
    return {
        chunk
        for chunk in parts.finished(range(len(chunks)))
        if np.array_equal(parts.get(chunk)[PLACES], _ends(chunks[chunk]))
    }


def _ends(chunk: range) -> np.ndarray:
    return np.array([chunk.start, chunk.stop])  # [2]


def _require_finite(arrays: dict[str, np.ndarray], trained: TrainedMembers, what: str) -> None:
    for name, values in arrays.items():
        bad = np.argwhere(~np.isfinite(values))  # [*, ndim]
        if len(bad):
            place, *_ = bad[0].tolist()
            member = trained.members[place]
            raise EvaluationError(
                f"{what}: retrained model {trained.first + place} (on {len(member.indices)} "
                f"examples) has {name} of {values[tuple(bad[0])]}: its training diverged; lower "
                "the learning rate"
            )
