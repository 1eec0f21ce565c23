"""``GivenScores``: a matrix of scores of any origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.problem import Problem
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import score_checks
else:
    np = lazy_import("numpy")
    score_checks = lazy_import("hessinf.evaluation.score_checks")


class GivenScores(Attribution):
    """Scores that somebody else has computed, for the run's own model.

    Parameters
    ----------
    name
        What tables call the row.
    scores
        ``[Q, N]``, positive = helpful.
    problem
        Says how many queries and training examples there are.
    facts
        Where they come from, as JSON.

    Raises
    ------
    EvaluationError
        When the shape is another, or numbers are not finite.
    """

    def __init__(
        self, name: str, scores: np.ndarray, problem: Problem, facts: dict[str, Any] | None = None
    ) -> None:
        super().__init__(name)
        shape = (len(problem.queries), len(problem.train))
        self._scores = score_checks.checked(scores, shape, f'the scores "{name}"')
        self._facts = dict(facts or {})

    def scores(self, model: int = 0) -> np.ndarray:
        """Return the scores ``[Q, N]``, float64."""
        return self._scores

    def facts(self) -> dict[str, Any]:
        """Say where they come from."""
        return self._facts
