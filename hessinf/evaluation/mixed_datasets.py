"""Sources: scores of a query should find training examples of the query's own source."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from hessinf.evaluation import classified_queries
from hessinf.evaluation.display_values import display_values
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.marked_metric import MarkedMetric
from hessinf.evaluation.metric import Metric
from hessinf.registry.suggestions import did_you_mean
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")

ADVICE = 'the reader "mixed-datasets" writes "source"'


@Metric.register("mixed-datasets")
class MixedDatasetsDetection(MarkedMetric):
    """Says how well scores find training examples of the same source as the query.

    Registered as a `Metric` with name "mixed-datasets".

    Looked at are queries of one source, that the model gets right unless `only_correct` is false.
    The value is the average precision (AUPRC) with which the scores of such a query find the
    training examples of that source.

    Parameters
    ----------
    field
        Where each example shows its source.
    source
        The source; null is the one with fewest training examples.
    only_correct
        Look at queries only that the model puts into their class.
    """

    sought = "examples of one source"

    def __init__(
        self,
        *,
        field: str = "source",
        source: str | None = None,
        only_correct: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.field = field
        self.source = source
        self.only_correct = only_correct

    def marks(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Return the training examples and the queries of the source."""
        train, queries = (
            [str(value) for value in values]
            for values in display_values(problem, self.field, ADVICE)
        )
        counts = Counter(train)
        if self.source is not None and self.source not in counts:
            names = ", ".join(f'"{name}"' for name in sorted(counts))
            raise EvaluationError(
                f'mixed-datasets: no training example is from "{self.source}"'
                f"{did_you_mean(self.source, counts)} (there are: {names})"
            )
        source = self.source or min(counts, key=lambda name: (counts[name], name))
        return np.array(train) == source, np.array(queries) == source

    def predicted_so(self, problem: Problem, marked: np.ndarray) -> np.ndarray:
        """Return which queries each model gets right, ``[K, Q]``; all where that is not wanted."""
        if self.only_correct:
            return classified_queries.correct_queries(problem)
        return np.ones((len(problem.models), len(problem.queries)), dtype=bool)
