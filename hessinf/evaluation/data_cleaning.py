"""The metric "data-cleaning": whether models are better without what is said to harm them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from hessinf.data.errors import listed
from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.baselines import GRADIENT_DOT, GRADIENT_NORM, LOSS, RANDOM
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.metric import Conclusion, Judgement, Metric
from hessinf.registry import Above, AtLeast, Below
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import (
        cleaning_curve,
        mean_bootstrap,
        paired_comparisons,
        removal_retraining,
        removal_sets,
        resampling,
        warm_starts,
    )
    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")
    cleaning_curve = lazy_import("hessinf.evaluation.cleaning_curve")
    resampling = lazy_import("hessinf.evaluation.resampling")
    mean_bootstrap = lazy_import("hessinf.evaluation.mean_bootstrap")
    paired_comparisons = lazy_import("hessinf.evaluation.paired_comparisons")
    removal_retraining = lazy_import("hessinf.evaluation.removal_retraining")
    removal_sets = lazy_import("hessinf.evaluation.removal_sets")
    warm_starts = lazy_import("hessinf.evaluation.warm_starts")

NAME = "data-cleaning"

PLAIN = (LOSS, GRADIENT_NORM)
"""Rankings that cost next to nothing."""


@dataclass(frozen=True, eq=False)
class CleaningTruth:
    """How queries are divided, and what models do without random examples, or with all.

    Parameters
    ----------
    validation
        The queries whose influences are added up, ascending, ``[V]``.
    test
        The other queries, ``[T]``.
    counts
        How many examples each share is.
    control
        On the test half, without random examples, ``[S, C, T]``.
    kept
        On the test half, with all training examples, ``[1, R, T]``.
    """

    validation: np.ndarray
    test: np.ndarray
    counts: tuple[int, ...]
    control: cleaning_curve.QueryResults
    kept: cleaning_curve.QueryResults


@Metric.register(NAME)
class DataCleaning(Metric):
    """Drops what harms the queries most, trains again, and tries the models on other queries.

    Registered as a `Metric` with name "data-cleaning".

    One half of the queries (drawn by the run's seed) says which training examples are worst; the
    other half, which had no part in it, says whether models without them are better. The value is
    how much lower the loss on that half is than when as many random examples are dropped, the mean
    over `shares`; its 95 % interval is over seeds and queries.

    Parameters
    ----------
    shares
        The shares of the training examples that are dropped, ascending.
    rank_by
        What is worst. `influence`: the lowest sum of scores over the first half of the queries;
        rows that know no queries, such as "loss", drop the highest instead. `self-influence`: the
        highest influence of an example on itself, for every row.
    repeats
        How many models are trained for each share, from other seeds.
    controls
        How many models are trained without random examples, for each share; each lacks other ones.
    """

    baselines = (RANDOM, GRADIENT_DOT, *PLAIN)

    columns: ClassVar[tuple[tuple[str, str], ...]] = (
        ("accuracy_gain", "accuracy gain"),
        ("best_share", "best share"),
        ("best_gain_over_all", "loss gain over all data"),
        ("best_interval_over_all", "95 % interval"),
    )

    def __init__(
        self,
        *,
        shares: tuple[Annotated[float, Above(0), Below(1)], ...] = (0.01, 0.02, 0.05, 0.1, 0.2),
        rank_by: Literal["influence", "self-influence"] = "influence",
        repeats: Annotated[int, AtLeast(1)] = 5,
        controls: Annotated[int, AtLeast(1)] = 10,
    ) -> None:
        if not shares or list(shares) != sorted(set(shares)):
            raise ValueError(
                f"shares is {list(shares)}, expected shares of the training examples that ascend: "
                "[0.05, 0.1]"
            )
        self.shares = tuple(shares)
        self.rank_by = rank_by
        self.repeats = repeats
        self.controls = controls

    def check(self, problem: Problem) -> None:
        """Refuse a single query, removing everything, and recipes that train nothing.

        Raises
        ------
        EvaluationError
            Which says what is missing.
        """
        problem.require_trainer(f'"{NAME}"')
        if len(problem.queries) < 2:
            raise EvaluationError(
                f'"{NAME}" divides the queries into two halves, and there is {len(problem.queries)}'
            )
        for share in self.shares:
            removal_sets.share_of(share, len(problem.train))
        warm_starts.refuse_same_weights(problem, f'"{NAME}"')

    def check_models(self, problem: Problem) -> None:
        """Refuse models that begin trained.

        Raises
        ------
        EvaluationError
            Which says why they are none to compare with.
        """
        warm_starts.refuse_warm_starts(problem, f'"{NAME}"')

    def prepare(self, problem: Problem) -> CleaningTruth:
        """Divide the queries, and train models on everything and without random examples."""
        order = self._random(problem, "halves").permutation(len(problem.queries))  # [Q]
        half = len(order) // 2
        validation, test = np.sort(order[:half]), np.sort(order[half:])  # [V], [T]
        counts = tuple(removal_sets.share_of(share, len(problem.train)) for share in self.shares)
        random = self._random(problem, "control")
        drawn = [
            [random.permutation(len(problem.train))[:count] for _ in range(self.controls)]
            for count in counts
        ]
        nothing = [[np.empty(0, dtype=int)] * self.repeats]
        return CleaningTruth(
            validation,
            test,
            counts,
            self._retrained(problem, test, drawn, "random"),
            self._retrained(problem, test, nothing, "on everything"),
        )

    @staticmethod
    def _random(problem: Problem, what: str) -> np.random.Generator:
        return np.random.default_rng(derive_seed(problem.seed, f"evaluation.{NAME}.{what}"))

    def _retrained(
        self, problem: Problem, test: np.ndarray, dropped: list[list[np.ndarray]], name: str
    ) -> cleaning_curve.QueryResults:
        """Train a model without each of S lists of sets; return what they do on the test half."""
        queries = problem.queries.subset(test.tolist())
        removals = [
            removal_retraining.Removal(places, repeat)
            for sets in dropped
            for repeat, places in enumerate(sets)
        ]
        found = removal_retraining.retrain_without(
            problem, NAME, removals, queries, stage=f"retraining ({name})"
        )
        shape = (len(dropped), len(dropped[0]), len(test))
        correct = None
        if "classes" in found:
            correct = (found["classes"] == queries.targets.numpy()).reshape(shape)  # [S, sets, T]
        return cleaning_curve.QueryResults(found["losses"].reshape(shape), correct)

    def describe(self, truth: CleaningTruth) -> dict[str, Any]:
        """Say which queries were for what, and how models do with all training examples."""
        return {
            "validation_queries": truth.validation.tolist(),
            "test_queries": truth.test.tolist(),
            "dropped": list(truth.counts),
            "repeats": self.repeats,
            "all_kept": _means(truth.kept, 0),
            "random_dropped": [_means(truth.control, place) for place in range(len(self.shares))],
        }

    def measure(
        self, attribution: Attribution, truth: CleaningTruth, problem: Problem
    ) -> Judgement | None:
        """Drop what an attribution finds worst, and train again."""
        values = self._values(attribution, truth)
        if values is None:
            return None
        order = removal_sets.worst(values, truth.counts[-1])  # [k]
        dropped = [[order[:count]] * self.repeats for count in truth.counts]
        found = self._retrained(problem, truth.test, dropped, attribution.name)
        seed = derive_seed(problem.seed, f"evaluation.{NAME}.bootstrap")
        curve = cleaning_curve.cleaning_curve(
            self.shares, truth.counts, found, truth.control, truth.kept, seed
        )
        if problem.train.flipped is not None:
            wrong = np.isin(order, problem.train.flipped)  # [k]
            for point in curve:
                point["wrong_labels"] = int(wrong[: point["dropped"]].sum())
        over_shares = -found.losses.astype(np.float64).mean(axis=0)  # [R, T]
        random = -truth.control.losses.astype(np.float64).mean(axis=0)  # [C, T]
        resampled = mean_bootstrap.resampled_differences(over_shares, random, seed)  # [B]
        best = max(curve, key=lambda point: point["loss_gain_over_all"])
        summary: dict[str, Any] = {
            "value": float(over_shares.mean() - random.mean()),
            "interval": list(resampling.percentile_interval(resampled)),
            "missing": 0,
            "curve": curve,
            "best_share": best["share"],
            "best_gain_over_all": best["loss_gain_over_all"],
            "best_interval_over_all": best["loss_interval_over_all"],
        }
        if found.correct is not None:
            gains = [point["accuracy_gain"] for point in curve]
            summary["accuracy_gain"] = float(np.mean(gains))
        return Judgement(summary, {"resampled": resampled})

    def _values(self, attribution: Attribution, truth: CleaningTruth) -> np.ndarray | None:
        """Return a number for each training example, ``[N]``, the lowest for the worst."""
        if self.rank_by == "influence" and attribution.has_scores:
            total: np.ndarray = attribution.scores()[truth.validation].sum(axis=0)  # [N]
            return total
        own = attribution.self_influence()
        return None if own is None else -own

    def conclude(
        self, judgements: Mapping[str, Judgement], truth: CleaningTruth, problem: Problem
    ) -> Conclusion:
        """Compare the rows with the plain loss, and say which are worth nothing."""
        comparisons = paired_comparisons.paired_comparisons(judgements, against=PLAIN)
        useless = [
            row
            for row, judgement in judgements.items()
            if row != RANDOM and judgement.summary["interval"][0] <= 0
        ]
        notes = []
        if useless:
            notes.append(
                "dropping what they find worst is no better than dropping random examples: "
                f"{listed(useless)}"
            )
        methods = [name for name in judgements if name not in self.baselines]
        notes += paired_comparisons.verdict_notes(PLAIN, methods, comparisons)
        helps = [
            name
            for name, judgement in judgements.items()
            if any(point["loss_interval_over_all"][0] > 0 for point in judgement.summary["curve"])
        ]
        if not helps:
            notes.append(
                "no row finds examples without which models are better than with all of them, "
                "beyond what chance explains: these data need no cleaning, or more queries to show "
                "it"
            )
        return Conclusion(tuple(pair.to_json() for pair in comparisons), tuple(notes))


def _means(results: cleaning_curve.QueryResults, place: int) -> dict[str, float]:
    return {name: abs(float(values[place].mean())) for name, values in results.quantities().items()}
