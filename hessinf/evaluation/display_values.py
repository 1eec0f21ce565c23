"""One field of what is shown of every example: what metrics know of it beside its class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.data.display_field import display_field, fields_there
from hessinf.evaluation.errors import EvaluationError

if TYPE_CHECKING:
    from hessinf.data import Dataset
    from hessinf.evaluation.problem import Problem


def display_values(problem: Problem, field: str, advice: str) -> tuple[list[Any], list[Any]]:
    """Return a field of every training example, ``[N]``, and of every query, ``[Q]``.

    Parameters
    ----------
    problem
        The examples.
    field
        As :func:`hessinf.data.display_field.display_field` takes it.
    advice
        Which reader writes such a field.

    Raises
    ------
    EvaluationError
        When an example has no such field.
    """
    return (
        _values(problem.train, field, "training example", advice),
        _values(problem.queries, field, "query", advice),
    )


def _values(data: Dataset, field: str, what: str, advice: str) -> list[Any]:
    found = []
    for place, example in enumerate(data):
        try:
            found.append(display_field(example.display, field))
        except KeyError:
            raise EvaluationError(
                f'{what} {place} (id "{example.id}") shows no field "{field}"; '
                f"{fields_there(example.display, field)}; {advice}"
            ) from None
    return found
