"""What the problem's models say of queries that have a class each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hessinf.evaluation.errors import EvaluationError
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import predictions
    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")
    predictions = lazy_import("hessinf.evaluation.predictions")


def require_classes(problem: Problem, metric: str) -> None:
    """Refuse data whose examples have no class each.

    Raises
    ------
    EvaluationError
        For regressions, and for several labels an example.
    """
    for what, data in (("training", problem.train), ("test", problem.queries)):
        if not predictions.has_classes(data):
            kind = "several labels each" if data.is_classification else "numbers for targets"
            raise EvaluationError(
                f"{metric} compares classes, and the {what} data have {kind}: it is for "
                "classifications"
            )


def predicted_classes(problem: Problem) -> np.ndarray:
    """Return the class that each of the problem's models gives each query, ``[K, Q]``."""
    return np.stack(
        [
            predictions.over(
                model.module,
                problem.queries,
                problem.device,
                lambda _, outputs: problem.objective.predictions(outputs),
            )
            for model in problem.models
        ]
    )


def correct_queries(problem: Problem) -> np.ndarray:
    """Return which queries each of the problem's models gets right, ``[K, Q]``."""
    correct: np.ndarray = predicted_classes(problem) == problem.queries.targets.numpy()  # [K, Q]
    return correct
