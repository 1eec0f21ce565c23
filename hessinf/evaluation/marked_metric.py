"""The base of metrics that look for marked training examples."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from hessinf.evaluation import classified_queries
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.per_query_metric import PerQueryMetric, QueryTruth
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import marked_examples, ranking
    from hessinf.evaluation.attribution import Attribution
    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")
    marked_examples = lazy_import("hessinf.evaluation.marked_examples")
    ranking = lazy_import("hessinf.evaluation.ranking")


class MarkedMetric(PerQueryMetric):
    """How well scores find marked training examples, for some of the queries."""

    sought: ClassVar[str]
    """What marked examples are, for messages."""

    columns: ClassVar[tuple[tuple[str, str], ...]] = (("auroc", "AUROC"), *PerQueryMetric.columns)

    def check(self, problem: Problem) -> None:
        """Refuse data in which nothing, or everything, is marked."""
        classified_queries.require_classes(problem, self.registered_name())
        marked, looked_at = self.marks(problem)
        for what, marks, wanted in (
            ("training examples", marked, "some and not all of them"),
            ("queries", looked_at, "one at least"),
        ):
            if not marks.any() or (what == "training examples" and marks.all()):
                raise EvaluationError(
                    f"{self.registered_name()} looks at {self.sought}, and {int(marks.sum())} of "
                    f"{len(marks)} {what} are such; expected {wanted}"
                )
        self.sign(problem, marked)

    @abstractmethod
    def marks(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Return which training examples are looked for, ``[N]``, and for which queries, ``[Q]``.

        Raises
        ------
        EvaluationError
            When the data do not say it.
        """

    @abstractmethod
    def predicted_so(self, problem: Problem, marked: np.ndarray) -> np.ndarray:
        """Return which queries each model predicts as the metric wants it, ``[K, Q]``."""

    def sign(self, problem: Problem, marked: np.ndarray) -> int:
        """Return 1 where marked examples should be helpful, -1 where they should be harmful.

        Raises
        ------
        EvaluationError
            When they should be neither.
        """
        return 1

    def prepare(self, problem: Problem) -> QueryTruth:
        """Find the marks, and which queries are predicted as it is wanted."""
        marked, looked_at = self.marks(problem)
        kept = self.predicted_so(problem, marked) & looked_at  # [K, Q]
        count, total = int(marked.sum()), len(marked)
        facts = {
            "marked": count,
            "examples": total,
            "queries_with_mark": int(looked_at.sum()),
            "end": "helpful" if self.sign(problem, marked) > 0 else "harmful",
        }
        chance = np.array(ranking.chance_auprc(count, total))  # []
        return self.truth(problem, kept, chance, facts, arrays={"marked": marked})

    def query_values(
        self, attribution: Attribution, model: int, truth: QueryTruth, problem: Problem
    ) -> dict[str, np.ndarray]:
        """Rank the training examples for each query that is looked at."""
        sign = 1 if truth.facts["end"] == "helpful" else -1
        scores = sign * attribution.scores(model)  # [Q, N]
        kept = truth.kept[model]  # [Q]
        values = {name: np.full(len(scores), np.nan) for name in ("value", "auroc")}  # [Q]
        if kept.any():
            auprc, auroc = marked_examples.marked_ranking(scores[kept], truth.arrays["marked"])
            values["value"][kept], values["auroc"][kept] = auprc, auroc
        return values
