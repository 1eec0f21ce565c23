"""``GroundTruth``: what really happens when a model is trained on other data."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from hessinf.registry import Registrable

if TYPE_CHECKING:
    from hessinf.evaluation.problem import Problem


class GroundTruth(Registrable):
    """Measures queries after retraining, and keeps the result in ``problem.store``."""

    default_implementation = "subset-retraining"

    gives: ClassVar[str] = ""
    """The name of the class that :meth:`produce` gives one or several of, by which metrics refuse
    what they cannot use before anything is trained; they find out afterwards where it is empty."""

    def check(self, problem: Problem) -> None:
        """Refuse, before any model is trained, a problem that cannot be retrained this way.

        Parameters
        ----------
        problem
            Its ``models`` are empty, as for :meth:`hessinf.evaluation.metric.Metric.check`.

        Raises
        ------
        EvaluationError
            When it needs what the problem has not.
        """

    def check_models(self, problem: Problem) -> None:
        """Refuse, once the attributed models are trained, what :meth:`check` could not know.

        Raises
        ------
        EvaluationError
            When it cannot be applied to these models.
        """

    @abstractmethod
    def produce(self, problem: Problem) -> Any:
        """Retrain, or read what was kept from an earlier time."""
