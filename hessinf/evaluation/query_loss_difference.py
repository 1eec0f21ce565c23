"""The metric "query-loss-difference": how a query's loss rises without what helps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hessinf.data.errors import listed
from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.baselines import GRADIENT_DOT, RANDOM
from hessinf.evaluation.metric import Conclusion, Judgement, Metric
from hessinf.registry import Above, AtLeast, Below
from hessinf.runtime.lazy_import import lazy_import
from hessinf.runtime.randomness import derive_seed

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import mean_bootstrap, query_removal, removal_sets, warm_starts
    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")
    mean_bootstrap = lazy_import("hessinf.evaluation.mean_bootstrap")
    query_removal = lazy_import("hessinf.evaluation.query_removal")
    removal_sets = lazy_import("hessinf.evaluation.removal_sets")
    warm_starts = lazy_import("hessinf.evaluation.warm_starts")

NAME = "query-loss-difference"


@dataclass(frozen=True, eq=False)
class LossTruth:
    """Losses of the queries without random examples, and without removing any.

    Parameters
    ----------
    chosen
        The queries.
    count
        How many examples are removed.
    random
        The losses after removing random examples, ``[R, Q']``.
    """

    chosen: query_removal.ChosenQueries
    count: int
    random: np.ndarray


@Metric.register(NAME)
class QueryLossDifference(Metric):
    """Removes what helps a query most, trains again, and looks at how its loss rises.

    Registered as a `Metric` with name "query-loss-difference".

    For some queries a share of the training examples is removed, the most helpful ones, and
    `repeats` new models are trained. The value is the mean loss of these queries less that of
    models without as many random examples, drawn for each query and with the same seeds; its 95 %
    interval is over seeds and queries. It needs no classes.

    Parameters
    ----------
    queries
        How many queries, drawn among all.
    share
        The share of the training examples that is removed.
    repeats
        How many models are trained for each query.
    """

    baselines = (RANDOM, GRADIENT_DOT)

    columns: ClassVar[tuple[tuple[str, str], ...]] = (("loss_change", "loss change"),)

    def __init__(
        self,
        *,
        queries: Annotated[int, AtLeast(1)] = 24,
        share: Annotated[float, Above(0), Below(1)] = 0.01,
        repeats: Annotated[int, AtLeast(1)] = 3,
    ) -> None:
        self.queries = queries
        self.share = share
        self.repeats = repeats

    def check(self, problem: Problem) -> None:
        """Refuse removing everything, and recipes that train nothing.

        Raises
        ------
        EvaluationError
            Which says what is missing.
        """
        problem.require_trainer(f'"{NAME}"')
        removal_sets.share_of(self.share, len(problem.train))
        warm_starts.refuse_same_weights(problem, f'"{NAME}"')

    def check_models(self, problem: Problem) -> None:
        """Refuse models that begin trained.

        Raises
        ------
        EvaluationError
            Which says why they are none to compare with.
        """
        warm_starts.refuse_warm_starts(problem, f'"{NAME}"')

    def prepare(self, problem: Problem) -> LossTruth:
        """Draw the queries, and train models on everything, and without random examples."""
        everything = np.ones(len(problem.queries), dtype=bool)  # [Q]
        chosen = query_removal.choose_queries(problem, NAME, self.queries, everything, self.repeats)
        size = len(problem.train)
        count = removal_sets.share_of(self.share, size)
        random = np.random.default_rng(derive_seed(problem.seed, f"evaluation.{NAME}.random"))
        drawn = [random.permutation(size)[:count] for _ in chosen.places]
        return LossTruth(chosen, count, self._losses(problem, drawn, chosen, "random"))

    def _losses(
        self,
        problem: Problem,
        removed: Any,
        chosen: query_removal.ChosenQueries,
        name: str,
    ) -> np.ndarray:
        """Return each query's loss without what is removed for it, ``[R, Q']``."""
        sets = [[places] for places in removed]
        found = query_removal.retrain_by_query(
            problem, NAME, sets, chosen, self.repeats, stage=f"retraining ({name})"
        )
        return found["losses"][:, 0].T.astype(np.float64)

    def describe(self, truth: LossTruth) -> dict[str, Any]:
        """Say which queries, and their loss without removing the helpful ones."""
        return {
            "queries": truth.chosen.places.tolist(),
            "removed": truth.count,
            "loss_nothing_removed": float(truth.chosen.kept["losses"].astype(np.float64).mean()),
            "loss_random_removed": float(truth.random.mean()),
        }

    def measure(
        self, attribution: Attribution, truth: LossTruth, problem: Problem
    ) -> Judgement | None:
        """Remove what an attribution finds helpful, and train again."""
        if not attribution.has_scores:
            return None
        scores = attribution.scores()[truth.chosen.places]  # [Q', N]
        removed = removal_sets.most_helpful(scores, truth.count)  # [Q', count]
        losses = self._losses(problem, removed, truth.chosen, attribution.name)  # [R, Q']
        difference = losses - truth.random  # [R, Q']
        seed = derive_seed(problem.seed, f"evaluation.{NAME}.bootstrap")
        summary = {
            "value": float(difference.mean()),
            "interval": list(mean_bootstrap.mean_interval(difference, seed)),
            "missing": 0,
            "loss_change": float((losses - truth.chosen.kept["losses"]).mean()),
        }
        return Judgement(summary)

    def conclude(
        self, judgements: Mapping[str, Judgement], truth: LossTruth, problem: Problem
    ) -> Conclusion:
        """Say which rows are no better than removing at random."""
        ignorant = [
            row
            for row, judgement in judgements.items()
            if row != RANDOM and judgement.summary["interval"][0] <= 0
        ]
        if not ignorant:
            return Conclusion()
        return Conclusion(
            notes=(
                f"removing the {truth.count} most helpful examples raises the loss of "
                f"{len(truth.chosen.places)} queries no more than removing as many random ones: "
                f"{listed(ignorant)}",
            )
        )
