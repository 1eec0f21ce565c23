"""Ground truth from models that are trained on random subsets of the training data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hessinf.evaluation.ground_truth import GroundTruth
from hessinf.registry import Above, AtLeast, Below
from hessinf.registry.plan import as_json
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    import numpy as np

    from hessinf import training
    from hessinf.evaluation import retraining_parts, subset_masks, subset_truth, warm_starts
    from hessinf.evaluation.problem import Problem
    from hessinf.evaluation.truth_store import TruthParts
else:
    np = lazy_import("numpy")
    training = lazy_import("hessinf.training")
    retraining_parts = lazy_import("hessinf.evaluation.retraining_parts")
    subset_masks = lazy_import("hessinf.evaluation.subset_masks")
    subset_truth = lazy_import("hessinf.evaluation.subset_truth")
    warm_starts = lazy_import("hessinf.evaluation.warm_starts")

WHAT = 'the ground truth "subset-retraining"'

Alphas = tuple[Annotated[float, Above(0), Below(1)], ...]


def check_alphas(alphas: Alphas) -> Alphas:
    """Refuse an empty list of shares, or one twice, as constructors do."""
    if not alphas:
        raise ValueError("alphas is empty, expected the share of examples in a subset: [0.5]")
    if len(set(alphas)) < len(alphas):
        raise ValueError(f"alphas has the same share twice: {list(alphas)}")
    return tuple(float(alpha) for alpha in alphas)


@GroundTruth.register("subset-retraining")
class SubsetRetraining(GroundTruth):
    """Trains new models on random subsets, and measures every query with each of them.

    Registered as a `GroundTruth` with name "subset-retraining".

    Each subset has exactly the share alpha of the training examples, drawn without replacement.
    Every model begins with new random weights: one that begins trained is refused.

    Parameters
    ----------
    alphas
        The shares of training examples in a subset. One ground truth for each.
    subsets
        How many subsets, m.
    repeats
        How many models are trained on each subset, from other seeds, R. With one, their noise is
        unknown and makes every score look worse; 3 to 5 show how much of the truth is noise, and
        average it.
    """

    gives = "SubsetTruth"

    version: ClassVar[int] = 1

    def __init__(
        self,
        *,
        alphas: Alphas = (0.5,),
        subsets: Annotated[int, AtLeast(3)] = 100,
        repeats: Annotated[int, AtLeast(1)] = 1,
    ) -> None:
        self.alphas = check_alphas(alphas)
        self.subsets = subsets
        self.repeats = repeats

    def check(self, problem: Problem) -> None:
        """Refuse problems without a trainer, too small ones, and models that begin trained.

        Raises
        ------
        EvaluationError
            Which says what is missing.
        """
        problem.require_trainer(WHAT)
        for alpha in self.alphas:
            subset_masks.subset_size(alpha, len(problem.train))
        warm_starts.refuse_same_weights(problem, WHAT)

    def check_models(self, problem: Problem) -> None:
        """Refuse models that begin trained.

        Raises
        ------
        EvaluationError
            Which says why they are none to compare with.
        """
        warm_starts.refuse_warm_starts(problem, WHAT)

    def produce(self, problem: Problem) -> tuple[subset_truth.SubsetTruth, ...]:
        """Train all models, or read what was kept of them.

        Parameters
        ----------
        problem
            Data, queries, recipe and measurement.

        Returns
        -------
        tuple of SubsetTruth
            One for each alpha.

        Raises
        ------
        EvaluationError
            As :meth:`check` and :meth:`check_models`, and when the training of a model diverges.
        """
        self.check(problem)
        constant = warm_starts.refuse_warm_starts(problem, WHAT)
        truths = tuple(self._produce(problem, alpha) for alpha in self.alphas)
        for truth in truths:
            _warn_of_failed_training(problem, truth, constant)
        return truths

    def identity(self, problem: Problem, alpha: float) -> dict[str, Any]:
        """Return everything that decides the values for one alpha, as JSON."""
        return {
            "version": self.version,
            "recipe": problem.recipe,
            "train": problem.train.fingerprint(),
            "queries": problem.queries.fingerprint(),
            "measurement": as_json(problem.measurement),
            "seed": problem.seed,
            "alpha": alpha,
            "subsets": self.subsets,
            "repeats": self.repeats,
        }

    def _produce(self, problem: Problem, alpha: float) -> subset_truth.SubsetTruth:
        arrays = problem.store.produce(
            "subset-retraining",
            self.identity(problem, alpha),
            lambda parts: self._retrain(problem, alpha, parts),
        )
        return subset_truth.SubsetTruth(
            masks=arrays["masks"],
            values=arrays["values"],
            alpha=alpha,
            training_losses=arrays["training_losses"],
        )

    def _retrain(self, problem: Problem, alpha: float, parts: TruthParts) -> dict[str, np.ndarray]:
        """Train the models that no part has yet, and put all parts together."""
        masks = subset_masks.draw_masks(
            examples=len(problem.train), alpha=alpha, subsets=self.subsets, seed=problem.seed
        )  # [m, N]
        members = [
            training.Member(
                indices=np.flatnonzero(mask).tolist(),
                seed=derive_seed(problem.seed, f"subset-retraining/{alpha!r}/{subset}/{repeat}"),
            )
            for subset, mask in enumerate(masks)
            for repeat in range(self.repeats)
        ]
        sign = 1 if problem.measurement.higher_is_better else -1

        def measure(trained: training.TrainedMembers) -> dict[str, np.ndarray]:
            values = trained.values(problem.queries, problem.objective, problem.measurement)
            losses = np.array([record.loss for record in trained.records])  # [M]
            return {
                "values": (sign * values).astype(np.float32),  # [M, Q]
                "training_losses": losses.astype(np.float32),
            }

        found = retraining_parts.train_in_parts(
            problem, WHAT, members, measure, parts, stage=f"retraining on subsets, alpha {alpha:g}"
        )
        shape = (self.subsets, self.repeats)
        return {
            "masks": masks,
            "values": found["values"].reshape(*shape, -1),  # [m, R, Q]
            "training_losses": found["training_losses"].reshape(shape),  # [m, R]
        }


def _warn_of_failed_training(
    problem: Problem, truth: subset_truth.SubsetTruth, constant: float
) -> None:
    """Say how many models are no better on their own subset than a constant prediction."""
    losses = truth.training_losses
    failed = 0 if losses is None else int((losses >= constant).sum())
    if failed:
        problem.warn(
            f"{failed} of {truth.values[..., 0].size} models retrained with alpha {truth.alpha:g} "
            "have a mean loss on their own subset that is no lower than that of a constant "
            f"prediction ({constant:.3g}): they have learnt nothing, and their values are noise"
        )
