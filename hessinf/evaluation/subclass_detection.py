"""Hidden classes: the most helpful training example should be of the query's finer class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.evaluation.display_values import display_values
from hessinf.evaluation.metric import Metric
from hessinf.evaluation.top_label_metric import TopLabelMetric
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")

ADVICE = 'the reader "grouped-labels" writes "finer_label"'


@Metric.register("subclass-detection")
class SubclassDetection(TopLabelMetric):
    """Says how often the most helpful example is of the query's finer class, hidden from the model.

    Registered as a `Metric` with name "subclass-detection".

    The model was trained on larger classes, such as those of the reader `grouped-labels`.

    Parameters
    ----------
    field
        Where each example shows its finer class, such as "finer_label" or "row.species".
    """

    def __init__(self, *, field: str = "finer_label", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.field = field

    def labels(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Return the finer classes of training examples and queries."""
        train, queries = display_values(problem, self.field, ADVICE)
        return np.array([str(value) for value in train]), np.array([str(x) for x in queries])
