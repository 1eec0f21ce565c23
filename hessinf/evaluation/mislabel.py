"""Wrong labels: flipped examples should be the ones that influence themselves most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from hessinf.evaluation.baselines import GRADIENT_NORM, LOSS, RANDOM
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.metric import Conclusion, Judgement, Metric
from hessinf.registry import Above, AtLeast, AtMost
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import flip_detection, paired_comparisons, ranking, resampling
    from hessinf.evaluation.attribution import Attribution
    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")
    resampling = lazy_import("hessinf.evaluation.resampling")
    flip_detection = lazy_import("hessinf.evaluation.flip_detection")
    paired_comparisons = lazy_import("hessinf.evaluation.paired_comparisons")
    ranking = lazy_import("hessinf.evaluation.ranking")

CURVE = [step / 50 for step in range(51)]
"""Where the recovery curve is written down: shares of the examples."""


@dataclass(frozen=True, eq=False)
class WrongLabels:
    """Which labels are wrong.

    Parameters
    ----------
    flipped
        ``[N]``, true and false.
    models
        How many models are looked at.
    """

    flipped: np.ndarray
    models: int


@Metric.register("mislabel")
class Mislabel(Metric):
    """Says how well self-influence finds training examples whose label was changed on purpose.

    Registered as a `Metric` with name "mislabel".

    The value is the area under the receiver operating characteristic (AUROC) of self-influence,
    largest first; the rows `loss` and `gradient-norm` rank by the plain training loss and by the
    squared norm of the gradient, and must be beaten. Data come from the reader `noisy-labels`.

    Parameters
    ----------
    shares
        Shares of the examples at which the recall is shown, beside the share that is flipped.
    resamples
        How often examples (and models, where there are several) are drawn anew for the 95 %
        intervals.
    """

    baselines = (RANDOM, LOSS, GRADIENT_NORM)
    columns = (
        ("auprc", "AUPRC"),
        ("recall", "recall"),
        ("recovery_area", "recovery area"),
    )

    def __init__(
        self,
        *,
        shares: tuple[Annotated[float, Above(0), AtMost(1)], ...] = (0.05, 0.1, 0.2, 0.3),
        resamples: Annotated[int, AtLeast(100)] = 1000,
    ) -> None:
        self.shares = shares
        self.resamples = resamples

    def check(self, problem: Problem) -> None:
        """Refuse training data whose labels nobody changed."""
        flipped = problem.train.flipped
        if not flipped:
            raise EvaluationError(
                "mislabel looks for labels that were changed on purpose, and the training data "
                f'"{problem.train.name}" have none: read them with {{"type": "noisy-labels", '
                '"reader": ..., "rate": 0.1}'
            )
        if len(set(flipped)) == len(problem.train):
            raise EvaluationError(
                "mislabel looks for labels that were changed among labels that were not, and all "
                f"{len(problem.train)} were; lower the rate"
            )

    def prepare(self, problem: Problem) -> WrongLabels:
        """Mark the examples whose label was changed."""
        flipped = np.zeros(len(problem.train), dtype=bool)  # [N]
        flipped[list(problem.train.flipped or ())] = True
        return WrongLabels(flipped, len(problem.models))

    def describe(self, truth: WrongLabels) -> dict[str, Any]:
        """Say how many labels are wrong, and what a random order would get."""
        count, total = int(truth.flipped.sum()), len(truth.flipped)
        return {
            "flipped": count,
            "examples": total,
            "share": count / total,
            "models": truth.models,
            "chance": 0.5,
            "chance_auprc": ranking.chance_auprc(count, total),
            "chance_recall": count / total,
            "chance_recovery_area": 0.5 / (1 - count / total / 2),
        }

    def measure(
        self, attribution: Attribution, truth: WrongLabels, problem: Problem
    ) -> Judgement | None:
        """Rank the training examples by their influence on themselves; None where unknown."""
        rows = []
        for model in range(attribution.num_models):
            row = attribution.self_influence(model)
            if row is None:
                return None
            rows.append(row)
        self_influence = np.stack(rows)  # [K, N]
        found = flip_detection.flip_detection(self_influence, truth.flipped)
        resampled = flip_detection.resampled_detection(
            self_influence,
            truth.flipped,
            resamples=self.resamples,
            seed=derive_seed(problem.seed, "evaluation.mislabel"),
        )
        intervals = {name: resampling.percentile_interval(x) for name, x in resampled.items()}
        summary: dict[str, Any] = {
            "value": float(found["auroc"].mean()),
            "interval": intervals.pop("auroc"),
            "missing": 0,
            "models": len(rows),
            "by_model": found["auroc"].tolist(),
        }
        for name, interval in intervals.items():
            summary |= {name: float(found[name].mean()), f"{name}_interval": interval}
        summary["recall_at"] = [
            {"share": share, "recall": recall}
            for share, recall in zip(
                self.shares,
                flip_detection.recalls(self_influence, truth.flipped, self.shares),
                strict=True,
            )
        ]
        summary["recovery_curve"] = {
            "inspected": CURVE,
            "found": flip_detection.recalls(self_influence, truth.flipped, CURVE),
        }
        return Judgement(summary, {"resampled": resampled["auroc"]})

    def conclude(
        self, judgements: Mapping[str, Judgement], truth: WrongLabels, problem: Problem
    ) -> Conclusion:
        """Compare every row with the loss and the gradient norm, and say when those win."""
        comparisons = paired_comparisons.paired_comparisons(
            judgements, against=(LOSS, GRADIENT_NORM)
        )
        methods = [row for row in judgements if row not in self.baselines]
        notes = [
            note
            for baseline, words in ((LOSS, "training loss"), (GRADIENT_NORM, "gradient norm"))
            if (note := _note(words, paired_comparisons.verdict(baseline, methods, comparisons)))
        ]
        return Conclusion(tuple(pair.to_json() for pair in comparisons), tuple(notes))


def _note(words: str, found: paired_comparisons.Verdict | None) -> str:
    """Say plainly whether influence is needed."""
    if found is None:
        return ""
    pair = found.comparison
    if found.outcome == "baseline wins":
        return (
            f"The plain {words} finds flipped labels better than every method here: influence adds "
            f'nothing to it on these data. The best method is "{found.best}": {pair}.'
        )
    if found.outcome == "methods win":
        return f'"{found.best}" finds flipped labels better than the plain {words}: {pair}.'
    side = "not better than" if pair.better != found.best else "not surely better than"
    return (
        f'The best method, "{found.best}", is {side} the plain {words}: {pair}. On these data '
        "influence has shown no use beyond it."
    )
