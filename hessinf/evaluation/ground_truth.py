"""``GroundTruth``: what really happens when a model is trained on other data."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from hessinf.registry import Registrable

if TYPE_CHECKING:
    from hessinf.evaluation.problem import Problem


class GroundTruth(Registrable):
    """Measures queries after retraining, and keeps the result in ``problem.store``."""

    default_implementation = "subset-retraining"

    def check(self, problem: Problem) -> None:
        """Refuse, before a long run, a problem that cannot be retrained this way.

        Raises
        ------
        EvaluationError
            When it needs what the problem has not.
        """

    @abstractmethod
    def produce(self, problem: Problem) -> Any:
        """Retrain, or read what was kept from an earlier time."""
