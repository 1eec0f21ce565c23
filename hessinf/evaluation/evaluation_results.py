"""What an evaluation found: a dict that a notebook shows as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    from hessinf.evaluation import result_tables
else:
    result_tables = lazy_import("hessinf.evaluation.result_tables")


class EvaluationResults(dict[str, Any]):
    """JSON: "problem", "warnings", "rows", and for each of the "metrics" its rows and truth."""

    def _repr_html_(self) -> str:
        return result_tables.results_html(self)
