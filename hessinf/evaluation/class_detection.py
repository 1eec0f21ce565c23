"""Classes: the most helpful training example should be of the query's class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hessinf.evaluation.metric import Metric
from hessinf.evaluation.top_label_metric import TopLabelMetric

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation.problem import Problem


@Metric.register("class-detection")
class ClassDetection(TopLabelMetric):
    """Says how often the most helpful training example is of the query's class.

    Registered as a `Metric` with name "class-detection".

    Labels that were changed on purpose count as they are.
    """

    def labels(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Return the targets of training examples and queries."""
        return problem.train.targets.numpy(), problem.queries.targets.numpy()
