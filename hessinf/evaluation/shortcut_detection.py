"""Shortcuts: scores of a misled prediction should find the examples that misled the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from hessinf.data.default_display import label_name
from hessinf.evaluation import classified_queries
from hessinf.evaluation.display_values import display_values
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.marked_metric import MarkedMetric
from hessinf.evaluation.metric import Metric
from hessinf.models.measurement import Logit
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np

    from hessinf.evaluation.problem import Problem
else:
    np = lazy_import("numpy")

ADVICE = 'the reader "shortcut" writes "shortcut"'


@Metric.register("shortcut-detection")
class ShortcutDetection(MarkedMetric):
    """Says how well scores find the training examples with a shortcut that misled the model.

    Registered as a `Metric` with name "shortcut-detection".

    Looked at are queries that carry the shortcut, are of another class than the marked training
    examples, and are predicted as that class. The value is the average precision (AUPRC) with which
    the scores of such a query find the marked training examples. Where no query is left there is no
    value, which is said, and is not the same as 0.

    Parameters
    ----------
    field
        Where each example shows whether it carries the shortcut: true or false.
    end
        Which end of the scores is searched. What a query's own class is measured by is harmed by
        the examples that misled the model: "harmful". What the shortcut's class is measured by is
        raised by them: "helpful". null is "helpful" where the measurement is the logit of the
        shortcut's class, and "harmful" elsewhere.
    """

    sought = "examples with the shortcut"

    def __init__(
        self,
        *,
        field: str = "shortcut",
        end: Literal["harmful", "helpful"] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.field = field
        self.end = end

    def marks(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Return the training examples with the shortcut, and the queries that could mislead."""
        train, queries = display_values(problem, self.field, ADVICE)
        marked = self._carrying(train, "training example")  # [N]
        carrying = self._carrying(queries, "query")  # [Q]
        if not marked.any():
            return marked, carrying
        return marked, carrying & (problem.queries.targets.numpy() != self._label(problem, marked))

    def _carrying(self, values: list[Any], what: str) -> np.ndarray:
        wrong = next((value for value in values if not isinstance(value, bool)), None)
        if wrong is not None:
            raise EvaluationError(
                f'{self.registered_name()}: the field "{self.field}" of a {what} is {wrong!r}, '
                "expected true or false"
            )
        return np.array(values, dtype=bool)

    def _label(self, problem: Problem, marked: np.ndarray) -> int:
        """Return the class that the shortcut gives away: that of all marked training examples."""
        labels = np.unique(problem.train.targets.numpy()[marked]).tolist()
        if len(labels) > 1:
            names = ", ".join(f'"{label_name(x, problem.train.label_names)}"' for x in labels)
            raise EvaluationError(
                f"{self.registered_name()}: the training examples with the shortcut are of "
                f"{len(labels)} classes ({names}), expected one, which the shortcut gives away"
            )
        label: int = labels[0]
        return label

    def predicted_so(self, problem: Problem, marked: np.ndarray) -> np.ndarray:
        """Return which queries each model takes for the shortcut's class, ``[K, Q]``."""
        label = self._label(problem, marked)
        misled: np.ndarray = classified_queries.predicted_classes(problem) == label  # [K, Q]
        return misled

    def sign(self, problem: Problem, marked: np.ndarray) -> int:
        """Search the end that the examples with the shortcut should be at."""
        if self.end is not None:
            return 1 if self.end == "helpful" else -1
        measurement = problem.measurement
        if not isinstance(measurement, Logit) or measurement.index is None:
            return -1
        label = self._label(problem, marked)
        if measurement.index == label:
            return 1
        raise EvaluationError(
            f"{self.registered_name()}: the measurement is the logit of class {measurement.index}, "
            f"and the shortcut is of class {label}; measure that one, or the loss, or say which "
            "end is searched"
        )
