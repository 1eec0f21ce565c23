"""The rows that every table shows: what methods have to be better than."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.method_attribution import MethodAttribution
from hessinf.evaluation.problem import Problem, ScoreModel
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import predictions
else:
    np = lazy_import("numpy")
    predictions = lazy_import("hessinf.evaluation.predictions")

RANDOM, SAME_CLASS_RANDOM, GRADIENT_DOT, LOSS, GRADIENT_NORM = NAMES = (
    "random",
    "same-class-random",
    "gradient-dot",
    "loss",
    "gradient-norm",
)


def baseline(name: str, problem: Problem, folder: Path | None = None) -> Attribution:
    """Make a baseline row.

    Parameters
    ----------
    name
        "random", "same-class-random" (random, but the query's own class first), "gradient-dot",
        "loss" (ranks training examples by their loss), or "gradient-norm" (by the squared norm of
        their gradient).
    problem
        Data and models.
    folder
        Where its numbers are kept; None for memory.
    """
    if name == RANDOM:
        return RandomScores(problem)
    if name == SAME_CLASS_RANDOM:
        return SameClassRandom(problem)
    if name == GRADIENT_DOT:
        return MethodAttribution(name, GRADIENT_DOT, problem, folder)
    if name == LOSS:
        return TrainingLoss(problem)
    if name == GRADIENT_NORM:
        return GradientNorm(problem, folder)
    raise EvaluationError(f'there is no baseline "{name}"; there are: {", ".join(NAMES)}')


class RandomScores(Attribution):
    """Scores that know nothing: drawn from a normal distribution.

    Parameters
    ----------
    problem
        Its seed, sizes and models decide the draws.
    """

    row = RANDOM

    def __init__(self, problem: Problem) -> None:
        super().__init__(self.row, len(problem.models))
        self.problem = problem

    def scores(self, model: int = 0) -> np.ndarray:
        """Draw the scores ``[Q, N]``, the same at every call."""
        return self.scores_for(self.problem.models[model])

    def scores_for(self, model: ScoreModel) -> np.ndarray:
        """Draw the scores ``[Q, N]`` of a model."""
        size = (len(self.problem.queries), len(self.problem.train))
        return self._draw("scores", model, size)

    def self_influence(self, model: int = 0) -> np.ndarray:
        """Draw a ranking of the training examples, ``[N]``."""
        return self._draw("self", self.problem.models[model], (len(self.problem.train),))

    def _draw(self, what: str, model: ScoreModel, size: tuple[int, ...]) -> np.ndarray:
        name = f"evaluation.random.{what}/{model.fingerprint}"
        random = np.random.default_rng(derive_seed(self.problem.seed, name))
        return random.standard_normal(size)


class SameClassRandom(RandomScores):
    """Scores that know the class alone: random, and higher for examples of the query's class.

    What a method finds beyond them, it has not from labels.
    """

    row = SAME_CLASS_RANDOM

    def scores_for(self, model: ScoreModel) -> np.ndarray:
        """Draw the scores ``[Q, N]`` of a model: above 0 where the classes are the same."""
        train, queries = self.problem.train.targets, self.problem.queries.targets
        if train.ndim != 1 or train.is_floating_point():
            raise EvaluationError(f'"{self.row}" needs examples that each have one class')
        same = (queries[:, None] == train[None, :]).numpy()  # [Q, N]
        drawn = np.abs(super().scores_for(model))  # [Q, N]
        scores: np.ndarray = np.where(same, drawn, -drawn)  # [Q, N]
        return scores


class _Ranking(Attribution):
    """A row that ranks training examples by themselves, and says nothing of queries."""

    has_scores = False

    def __init__(self, name: str, problem: Problem) -> None:
        super().__init__(name, len(problem.models))
        self.problem = problem

    def scores(self, model: int = 0) -> np.ndarray:
        """Refuse: there are none."""
        raise EvaluationError(
            f'"{self.name}" ranks training examples by themselves, and has no scores for queries'
        )


class TrainingLoss(_Ranking):
    """Ranks training examples by their loss under the trained model.

    Parameters
    ----------
    problem
        Data and models.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(LOSS, problem)

    def self_influence(self, model: int = 0) -> np.ndarray:
        """Return the training losses, ``[N]``."""
        return predictions.losses(
            self.problem.models[model].module,
            self.problem.train,
            self.problem.objective,
            self.problem.device,
        )


class GradientNorm(_Ranking):
    """Ranks training examples by the squared norm of their gradient.

    Parameters
    ----------
    problem
        Data and models.
    folder
        Where its numbers are kept; None for memory.
    """

    def __init__(self, problem: Problem, folder: Path | None = None) -> None:
        super().__init__(GRADIENT_NORM, problem)
        self._dots = MethodAttribution(GRADIENT_NORM, GRADIENT_DOT, problem, folder)

    def self_influence(self, model: int = 0) -> np.ndarray:
        """Return the squared norms, ``[N]``."""
        return self._dots.self_influence(model)

    def release(self) -> None:
        """Let go of the interpreter."""
        self._dots.release()


def is_baseline(row: Attribution) -> bool:
    """Whether a row that carries the name of a baseline is that baseline."""
    if isinstance(row, RandomScores | TrainingLoss | GradientNorm):
        return True
    return (
        row.name == GRADIENT_DOT
        and isinstance(row, MethodAttribution)
        and row.method_class.registered_name() == GRADIENT_DOT
    )
