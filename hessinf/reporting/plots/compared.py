"""What plots of comparisons and evaluations are made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hessinf.reporting.comparison_costs import metrics_of
from hessinf.reporting.plots.errors import PlotError
from hessinf.reporting.plots.sources import (
    directory_of,
    results_in,
    unknown,
)
from hessinf.runtime.run_files import COMPARISON, EVALUATION, METRICS

AnyResults = Mapping[str, Any]


def compared(given: Any, what: str) -> tuple[AnyResults, AnyResults]:
    """Return a comparison, and what its rows cost.

    Parameters
    ----------
    given
        A run directory of ``hessinf compare``, or what ``compare()`` returned.
    what
        Who asks.

    Raises
    ------
    PlotError
        When it is something else.
    """
    folder = directory_of(given)
    if folder is None:
        raise unknown(what, "a run of hessinf compare", given)
    comparison = results_in(folder, COMPARISON, "compare")
    costs = results_in(folder, METRICS, "compare").get("rows") or {}
    return comparison, costs


def judged(given: Any, what: str) -> Mapping[str, AnyResults]:
    """Return the metrics of an evaluation or a comparison, by name.

    Parameters
    ----------
    given
        A run directory, what ``evaluate()`` or ``compare()`` returned, or what their files say.
    what
        Who asks.

    Raises
    ------
    PlotError
        When nothing was evaluated.
    """
    found, where = _results(given, what)
    metrics = metrics_of(found) if "agreement" in found else found.get("metrics") or {}
    if not metrics:
        raise PlotError(
            f"{where} holds no evaluation: run hessinf evaluate, or compare with a config that has "
            "an evaluation"
        )
    return metrics


def _results(given: Any, what: str) -> tuple[AnyResults, str]:
    folder = directory_of(given)
    if folder is None:
        if isinstance(given, Mapping):
            return given, "what was given"
        raise unknown(what, "a run of hessinf evaluate or compare, or its results", given)
    if (folder / COMPARISON).exists():
        return results_in(folder, COMPARISON, "compare"), str(folder)
    return results_in(folder, EVALUATION, "evaluate"), str(folder)


def chosen_metric(metrics: Mapping[str, AnyResults], name: str | None) -> tuple[str, AnyResults]:
    """Return the metric that is asked for, the first one when None.

    Raises
    ------
    PlotError
        When there is no such metric.
    """
    found = next(iter(metrics)) if name is None else name
    if found not in metrics:
        raise PlotError(f'there is no metric "{name}"; there are: {", ".join(metrics)}')
    return found, metrics[found]
