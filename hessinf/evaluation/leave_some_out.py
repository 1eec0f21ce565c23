"""The metric "leave-some-out": scores beside exact retraining on subsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.ground_truth import GroundTruth
from hessinf.evaluation.leave_some_out_truth import LeaveSomeOutRetraining
from hessinf.evaluation.metric import Conclusion, Judgement, Metric
from hessinf.evaluation.subset_retraining import Alphas
from hessinf.registry import AtLeast
from hessinf.runtime.finite_json import number_or_null
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import (
        bootstrap,
        change_agreement,
        lds,
        loss_changes,
        paired_comparisons,
        rank_correlation,
        resampling,
        subset_sums,
    )
    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")
    bootstrap = lazy_import("hessinf.evaluation.bootstrap")
    change_agreement = lazy_import("hessinf.evaluation.change_agreement")
    lds = lazy_import("hessinf.evaluation.lds")
    paired_comparisons = lazy_import("hessinf.evaluation.paired_comparisons")
    rank_correlation = lazy_import("hessinf.evaluation.rank_correlation")
    resampling = lazy_import("hessinf.evaluation.resampling")
    loss_changes = lazy_import("hessinf.evaluation.loss_changes")
    subset_sums = lazy_import("hessinf.evaluation.subset_sums")

LINE = ("pearson", "slope", "intercept", "relative_error")
"""What is shown of how predicted loss differences agree with true ones."""


@Metric.register("leave-some-out")
class LeaveSomeOut(Metric):
    """Compares sums of scores with what exact retraining on subsets does to losses.

    Registered as a `Metric` with name "leave-some-out".

    For each share alpha: Spearman over subsets, for each query, between the sums of the scores of a
    subset's members and the loss after training on them, turned so that a good attribution is
    positive, and its mean over queries; and Pearson, the slope and the relative error over all
    pairs between the loss differences and those that scores predict to first order. The value is
    the mean of the Spearmans over all alphas.

    Parameters
    ----------
    alphas
        The shares of training examples in a subset; 0.3, 0.5, 0.7 and 0.9 when null.
    subsets
        How many subsets for each alpha; 100 when null.
    ground_truth
        Where losses come from, in place of these: {"type": "leave-some-out", ...} retrains a convex
        model; {"type": "leave-some-out-files", ...} reads files, for any model.
    resamples
        How often queries and subsets are drawn anew for the 95 % intervals.
    """

    columns: ClassVar[tuple[tuple[str, str], ...]] = (
        ("pearson", "Pearson"),
        ("slope", "slope"),
    )

    def __init__(
        self,
        *,
        alphas: Alphas | None = None,
        subsets: Annotated[int, AtLeast(3)] | None = None,
        ground_truth: GroundTruth | None = None,
        resamples: Annotated[int, AtLeast(100)] = 1000,
    ) -> None:
        given = {"alphas": alphas, "subsets": subsets}
        chosen: dict[str, Any] = {name: x for name, x in given.items() if x is not None}
        if ground_truth is not None and chosen:
            raise ValueError(
                f"{' and '.join(chosen)} and ground_truth are both given; give them inside "
                "ground_truth"
            )
        self.ground_truth = ground_truth or LeaveSomeOutRetraining(**chosen)
        self.resamples = resamples

    def check(self, problem: Problem) -> None:
        """Refuse what the ground truth cannot retrain or read.

        Raises
        ------
        EvaluationError
            Which says what to use instead.
        """
        if self.ground_truth.gives not in ("", loss_changes.LeaveSomeOutChanges.__name__):
            raise self._other_truth()
        self.ground_truth.check(problem)

    def _other_truth(self) -> EvaluationError:
        return EvaluationError(
            'the metric "leave-some-out" needs differences of losses, and '
            f'"{type(self.ground_truth).registered_name()}" gives other things; use '
            '"leave-some-out", or the metric "lds"'
        )

    def check_models(self, problem: Problem) -> None:
        """Refuse what the ground truth refuses of trained models."""
        self.ground_truth.check_models(problem)

    def prepare(self, problem: Problem) -> tuple[loss_changes.LeaveSomeOutChanges, ...]:
        """Train on subsets, or read what others have found."""
        truths = self.ground_truth.produce(problem)
        if not isinstance(truths, tuple) or not all(
            isinstance(truth, loss_changes.LeaveSomeOutChanges) for truth in truths
        ):
            raise self._other_truth()
        return truths

    def describe(self, truth: tuple[loss_changes.LeaveSomeOutChanges, ...]) -> dict[str, Any]:
        """Say how many subsets there are, and how large the differences are."""
        return {
            "alphas": [one.alpha for one in truth],
            "subsets": [len(one.masks) for one in truth],
            "mean_loss_difference": [float(one.loss_diffs.mean()) for one in truth],
        }

    def measure(
        self,
        attribution: Attribution,
        truth: tuple[loss_changes.LeaveSomeOutChanges, ...],
        problem: Problem,
    ) -> Judgement:
        """Compare one attribution with each alpha."""
        scores = attribution.scores()  # [Q, N]
        by_alpha: dict[str, Any] = {}
        resampled = []
        for one in truth:
            sums = subset_sums.subset_sums(scores, one.masks)  # [Q, m]
            values = -one.loss_diffs.T  # [Q, m], larger is better
            correlations = rank_correlation.spearman(sums, values)  # [Q]
            resamples = resampling.draw_resamples(
                queries=len(values),
                subsets=values.shape[1],
                resamples=self.resamples,
                seed=derive_seed(problem.seed, "evaluation.leave-some-out.bootstrap"),
            )
            drawn = bootstrap.resampled_correlations(sums, values, resamples.subsets)  # [B, Q]
            value = lds.mean_of_defined(correlations)
            means = bootstrap.correlations_without_bias(
                value, resampling.weighted_means(drawn, resamples.queries)
            )  # [B]
            predicted = loss_changes.subset_changes_from_scores(
                scores, one.masks, problem.training_reduction
            )
            agreement = change_agreement.compare_changes(predicted, one.loss_diffs.T).to_json()
            resampled.append(means)
            by_alpha[repr(one.alpha)] = {
                "value": number_or_null(value),
                "interval": resampling.defined_interval(means),
                "missing": int(np.isnan(correlations).sum()),
                **{name: agreement[name] for name in LINE},
            }
        together = np.mean(resampled, axis=0)  # [B]

        def mean(key: str) -> float | None:
            values = [found[key] for found in by_alpha.values()]
            return None if None in values else float(np.mean(values))

        summary = {
            "value": mean("value"),
            "interval": resampling.defined_interval(together),
            "missing": sum(found["missing"] for found in by_alpha.values()),
            "pearson": mean("pearson"),
            "slope": mean("slope"),
            "by_alpha": by_alpha,
        }
        return Judgement(summary, {"resampled": together})

    def conclude(
        self,
        judgements: Mapping[str, Judgement],
        truth: tuple[loss_changes.LeaveSomeOutChanges, ...],
        problem: Problem,
    ) -> Conclusion:
        """Compare neighbours in the order of their values."""
        comparisons = paired_comparisons.compared_neighbours(judgements)
        return Conclusion(tuple(pair.to_json() for pair in comparisons))
