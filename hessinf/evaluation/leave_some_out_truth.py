"""Ground truth from training a convex model again on random subsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from hessinf.evaluation.convex_retraining import check_convex, retrained_changes
from hessinf.evaluation.ground_truth import GroundTruth
from hessinf.evaluation.subset_retraining import Alphas, check_alphas
from hessinf.registry import Above, AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import loss_changes, subset_masks
    from hessinf.evaluation.problem import Problem
else:
    loss_changes = lazy_import("hessinf.evaluation.loss_changes")
    subset_masks = lazy_import("hessinf.evaluation.subset_masks")

KIND = "leave-some-out"

ALPHAS = (0.3, 0.5, 0.7, 0.9)
"""The shares that the literature draws."""


@GroundTruth.register(KIND)
class LeaveSomeOutRetraining(GroundTruth):
    """Trains a convex model again on random subsets, each to its exact optimum.

    Registered as a `GroundTruth` with name "leave-some-out".

    As "leave-one-out", for subsets with a share alpha of the training data. The subsets are those
    of "subset-retraining" with the same seed.

    Parameters
    ----------
    alphas
        The shares of training examples in a subset. One ground truth for each.
    subsets
        How many subsets for each alpha, m.
    gradient_tolerance
        The 2-norm of the gradient at which a model counts as trained; where one stays above it, the
        run stops and names it.
    """

    gives = "LeaveSomeOutChanges"

    def __init__(
        self,
        *,
        alphas: Alphas = ALPHAS,
        subsets: Annotated[int, AtLeast(3)] = 100,
        gradient_tolerance: Annotated[float, Above(0)] = 1e-8,
    ) -> None:
        self.alphas = check_alphas(alphas)
        self.subsets = subsets
        self.gradient_tolerance = gradient_tolerance

    def check(self, problem: Problem) -> None:
        """Refuse networks, and shares that leave nothing or nothing out.

        Raises
        ------
        EvaluationError
            Which says what to use instead.
        """
        for alpha in self.alphas:
            subset_masks.subset_size(alpha, len(problem.train))
        check_convex(problem, f'"{KIND}"')

    def produce(self, problem: Problem) -> tuple[loss_changes.LeaveSomeOutChanges, ...]:
        """Retrain, or read what was kept; one truth for each alpha.

        Raises
        ------
        EvaluationError
            As :meth:`check`, and when one does not get to its optimum.
        """
        self.check(problem)
        return tuple(self._produce(problem, alpha) for alpha in self.alphas)

    def _produce(self, problem: Problem, alpha: float) -> loss_changes.LeaveSomeOutChanges:
        masks = subset_masks.draw_masks(
            examples=len(problem.train), alpha=alpha, subsets=self.subsets, seed=problem.seed
        )  # [m, N]

        def some_masks(some: range) -> np.ndarray:
            return masks[some.start : some.stop].astype(bool)  # [k, N]

        arrays = retrained_changes(
            problem,
            KIND,
            {"alpha": alpha, "subsets": self.subsets, "seed": problem.seed},
            some_masks,
            lambda place: f"subset {place} of alpha {alpha:g}",
            self.subsets,
            gradient_tolerance=self.gradient_tolerance,
        )
        return loss_changes.LeaveSomeOutChanges(alpha, masks, arrays["changes"])
