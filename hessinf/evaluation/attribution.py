"""``Attribution``: the scores of one method, as metrics see them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hessinf.evaluation.errors import EvaluationError

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation.problem import ScoreModel


class Attribution(ABC):
    """Scores ``[Q, N]`` of one method for one problem: positive means helpful.

    Every number is computed once and kept, however many metrics ask for it.

    Parameters
    ----------
    name
        What tables call the row.
    num_models
        How many models the scores exist for: one for a file, ``len(problem.models)`` for methods.
    """

    has_scores: ClassVar[bool] = True
    """Whether there are scores for queries, and not only a ranking of the training examples."""

    def __init__(self, name: str, num_models: int = 1) -> None:
        self.name = name
        self.num_models = num_models

    @abstractmethod
    def scores(self, model: int = 0) -> np.ndarray:
        """Return the scores ``[Q, N]`` for one of the problem's models, finite, float64."""

    @property
    def has_damping(self) -> bool:
        """Whether :meth:`scores_by_damping` gives anything."""
        return False

    def scores_by_damping(self, dampings: Sequence[Any], model: int = 0) -> np.ndarray:
        """Return the scores ``[D, Q, N]`` at several dampings.

        Raises
        ------
        EvaluationError
            When the method has no damping.
        """
        raise EvaluationError(f'"{self.name}" has no damping that could be changed')

    def self_influence(self, model: int = 0) -> np.ndarray | None:
        """Return the influence of each training example on itself, ``[N]``; None where unknown."""
        return None

    def loss_changes(self, *, refined: bool = False, model: int = 0) -> np.ndarray | None:
        """Return predicted loss changes ``[Q, N]`` when an example is removed; None where unknown.

        Parameters
        ----------
        refined
            Whether the loss after one Newton step is asked for, instead of the first order.
        model
            Which of the problem's models.
        """
        return None

    def scores_for(self, model: ScoreModel) -> np.ndarray | None:
        """Return the scores ``[Q, N]`` for any model; None where they cannot be computed anew."""
        return None

    def release(self) -> None:  # noqa: B027 (most rows hold nothing)
        """Let go of whatever takes much memory; numbers that were computed stay."""

    def facts(self) -> dict[str, Any]:
        """Say what was scored with, as JSON: arguments, damping that was applied, file."""
        return {}
