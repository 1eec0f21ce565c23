"""The metric "leave-one-out": predicted loss changes beside those of exact retraining."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.ground_truth import GroundTruth
from hessinf.evaluation.leave_one_out_truth import Examples, LeaveOneOutRetraining
from hessinf.evaluation.metric import Conclusion, Judgement, Metric
from hessinf.registry import AtLeast
from hessinf.runtime.finite_json import number_or_null
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import change_agreement, loss_changes, paired_comparisons, resampling
    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")
    resampling = lazy_import("hessinf.evaluation.resampling")
    change_agreement = lazy_import("hessinf.evaluation.change_agreement")
    paired_comparisons = lazy_import("hessinf.evaluation.paired_comparisons")
    loss_changes = lazy_import("hessinf.evaluation.loss_changes")

REFINED = "refined_"
"""In front of the names of what belongs to refined predictions."""

RIGHT_SLOPES = (0.97, 1.03)
"""Between these, a slope is not worth a note."""

WORTH_A_SLOPE = 0.9
"""Below this correlation, a slope says little."""


@Metric.register("leave-one-out")
class LeaveOneOut(Metric):
    """Compares predicted loss changes with those of retraining without an example, exactly.

    Registered as a `Metric` with name "leave-one-out".

    The value is Pearson's correlation over all pairs of a query and an example, of the first-order
    prediction. Beside it, also for the refined prediction where the method has one: Spearman, the
    line ``true = slope · predicted + intercept``, and the root mean squared error over the standard
    deviation of the true changes; all pairs, and the mean and the least over queries.

    Parameters
    ----------
    examples
        Which training examples are left out: all when null, so many drawn by the seed, or a list of
        their indices.
    ground_truth
        How models are trained again, in place of `examples`.
    refined
        Whether refined loss changes are compared too, of methods that have them. It costs about a
        Newton step an example.
    resamples
        How often queries and examples are drawn anew for the 95 % intervals.
    """

    columns: ClassVar[tuple[tuple[str, str], ...]] = (
        ("spearman", "Spearman"),
        ("slope", "slope"),
        ("relative_error", "RMSE/std"),
        ("refined_pearson", "refined r"),
        ("refined_slope", "refined slope"),
    )

    def __init__(
        self,
        *,
        examples: Examples = None,
        ground_truth: GroundTruth | None = None,
        refined: bool = True,
        resamples: Annotated[int, AtLeast(100)] = 1000,
    ) -> None:
        if ground_truth is not None and examples is not None:
            raise ValueError(
                "examples and ground_truth are both given; give the examples inside ground_truth"
            )
        self.ground_truth = ground_truth or LeaveOneOutRetraining(examples=examples)
        self.refined = refined
        self.resamples = resamples

    def check(self, problem: Problem) -> None:
        """Refuse networks.

        Raises
        ------
        EvaluationError
            Which says what to use instead.
        """
        if self.ground_truth.gives not in ("", loss_changes.LeaveOneOutChanges.__name__):
            raise self._other_truth(self.ground_truth.gives)
        self.ground_truth.check(problem)

    def _other_truth(self, found: str) -> EvaluationError:
        return EvaluationError(
            f'the metric "leave-one-out" needs a ground truth of single removals, and '
            f'"{type(self.ground_truth).registered_name()}" gives {found}; use "leave-one-out"'
        )

    def check_models(self, problem: Problem) -> None:
        """Refuse what the ground truth refuses of trained models."""
        self.ground_truth.check_models(problem)

    def prepare(self, problem: Problem) -> loss_changes.LeaveOneOutChanges:
        """Train again without each example."""
        truth = self.ground_truth.produce(problem)
        if not isinstance(truth, loss_changes.LeaveOneOutChanges):
            raise self._other_truth(type(truth).__name__)
        return truth

    def describe(self, truth: loss_changes.LeaveOneOutChanges) -> dict[str, Any]:
        """Say how many models were trained, and how large the changes are."""
        return {
            "retrained_models": len(truth.indices),
            "queries": truth.changes.shape[1],
            "standard_deviation": float(truth.changes.std()),
            "largest": float(np.abs(truth.changes).max()),
        }

    def measure(
        self, attribution: Attribution, truth: loss_changes.LeaveOneOutChanges, problem: Problem
    ) -> Judgement:
        """Compare the predictions of one attribution."""
        true = truth.changes.T  # [Q, n]
        resamples = resampling.draw_resamples(
            queries=true.shape[0],
            subsets=true.shape[1],
            resamples=self.resamples,
            seed=derive_seed(problem.seed, "evaluation.leave-one-out.bootstrap"),
        )
        predicted = first_order(attribution, problem)[:, truth.indices]  # [Q, n]
        found = change_agreement.compare_changes(predicted, true)
        intervals, resampled = change_agreement.pearson_intervals(predicted, true, resamples)
        summary: dict[str, Any] = {
            "value": number_or_null(found.pearson),
            "interval": intervals["two_way"],
            "missing": int(np.isnan(found.pearsons).sum()),
            **found.to_json(),
            "intervals": intervals,
        }
        refined = attribution.loss_changes(refined=True) if self.refined else None
        if refined is not None:
            better = refined[:, truth.indices]  # [Q, n]
            agreement = change_agreement.compare_changes(better, true).to_json()
            summary |= {f"{REFINED}{key}": value for key, value in agreement.items()}
            summary[f"{REFINED}intervals"], _ = change_agreement.pearson_intervals(
                better, true, resamples
            )
        return Judgement(summary, {"resampled": resampled})

    def conclude(
        self,
        judgements: Mapping[str, Judgement],
        truth: loss_changes.LeaveOneOutChanges,
        problem: Problem,
    ) -> Conclusion:
        """Compare neighbours in the order of their correlation, and read the slopes."""
        notes = tuple(
            note for row, judgement in judgements.items() if (note := _note(row, judgement.summary))
        )
        comparisons = paired_comparisons.compared_neighbours(judgements)
        return Conclusion(tuple(pair.to_json() for pair in comparisons), notes)


def first_order(attribution: Attribution, problem: Problem) -> np.ndarray:
    """Return predicted loss changes ``[Q, N]``; from the scores where nothing else is known."""
    changes = attribution.loss_changes()
    if changes is not None:
        return changes
    scores = attribution.scores()  # [Q, N]
    return loss_changes.changes_from_scores(
        scores, np.arange(scores.shape[1]), problem.training_reduction
    )


def _note(row: str, summary: Mapping[str, Any]) -> str | None:
    """Say in words what slopes tell, of rows whose predictions lie on a line."""
    if summary["value"] is None or summary["value"] < WORTH_A_SLOPE:
        return None
    slope = summary["slope"]
    if RIGHT_SLOPES[0] <= slope <= RIGHT_SLOPES[1]:
        said = f'"{row}": real changes are {slope:.2f} times what the first order predicts'
    else:
        verb = "understates" if slope > 1 else "overstates"
        said = (
            f'"{row}": real changes are {slope:.2f} times what the first order predicts: it {verb} '
            "them"
        )
    refined = summary.get(f"{REFINED}slope")
    return said if refined is None else f"{said}; {refined:.2f} times what the refined one predicts"
