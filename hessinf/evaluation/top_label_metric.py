"""The base of metrics that look at the classes of the most helpful training examples."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from hessinf.evaluation import classified_queries
from hessinf.evaluation.per_query_metric import PerQueryMetric, QueryTruth
from hessinf.registry import AtLeast
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation import top_labels
    from hessinf.evaluation.attribution import Attribution
    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")
    top_labels = lazy_import("hessinf.evaluation.top_labels")


class TopLabelMetric(PerQueryMetric):
    """The share of most helpful training examples that are of the query's class.

    Parameters
    ----------
    k
        How many of the most helpful examples the second column looks at; the value looks at one.
    only_correct
        Look at queries only that the model puts into their class.
    """

    columns: ClassVar[tuple[tuple[str, str], ...]] = (("top_k", "top k"), *PerQueryMetric.columns)

    def __init__(
        self, *, k: Annotated[int, AtLeast(1)] = 10, only_correct: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.k = k
        self.only_correct = only_correct

    def check(self, problem: Problem) -> None:
        """Refuse data without classes; warn of lists that hold everything."""
        classified_queries.require_classes(problem, self.registered_name())
        self.labels(problem)
        examples = len(problem.train)
        if self.k >= examples:
            problem.warn(
                f'{self.registered_name()}: with k = {self.k}, the column "top k" looks at all '
                f"{examples} training examples, and every row gets the same there; lower k"
            )

    @abstractmethod
    def labels(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels of training examples ``[N]`` and of queries ``[Q]``."""

    def prepare(self, problem: Problem) -> QueryTruth:
        """Find the labels, and which queries the models get right."""
        train, queries = self.labels(problem)
        if self.only_correct:
            kept = classified_queries.correct_queries(problem)  # [K, Q]
        else:
            kept = np.ones((len(problem.models), len(queries)), dtype=bool)  # [K, Q]
        shares = top_labels.label_shares(train, queries)  # [Q]
        facts = {
            "k": min(self.k, len(train)),
            "classes": len(np.unique(train)),
            # Nothing can be right for these, and they count as wrong.
            "queries_without_examples": int((kept.any(axis=0) & (shares == 0)).sum()),
        }
        return self.truth(problem, kept, shares, facts, arrays={"train": train, "queries": queries})

    def query_values(
        self, attribution: Attribution, model: int, truth: QueryTruth, problem: Problem
    ) -> dict[str, np.ndarray]:
        """Look at the most helpful example of each query, and at the k most helpful ones."""
        scores = attribution.scores(model)  # [Q, N]
        train, queries = truth.arrays["train"], truth.arrays["queries"]
        return {
            "value": top_labels.top_label_share(scores, train, queries, 1),
            "top_k": top_labels.top_label_share(scores, train, queries, self.k),
        }
