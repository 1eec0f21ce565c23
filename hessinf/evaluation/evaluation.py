"""Judging attributions: every metric for every row."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.baselines import NAMES, baseline, is_baseline
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.evaluation_results import EvaluationResults
from hessinf.evaluation.given_scores import GivenScores
from hessinf.evaluation.method_attribution import Method, MethodAttribution
from hessinf.evaluation.metric import Judgement, Metric
from hessinf.evaluation.problem import Problem
from hessinf.evaluation.row_folder import row_folder
from hessinf.registry.plan import as_json
from hessinf.runtime.finite_json import finite_json
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import numpy as np

    from hessinf import training
    from hessinf.evaluation import predictions

    Rows = Mapping[str, Attribution | Method | np.ndarray] | Sequence[Attribution]
else:
    np = lazy_import("numpy")
    training = lazy_import("hessinf.training")
    predictions = lazy_import("hessinf.evaluation.predictions")

FORMAT = 1
"""The version of the results' layout."""

StageMaker = Callable[[str], contextlib.AbstractContextManager[Any]]


def evaluate(
    problem: Problem,
    metrics: Mapping[str, Metric | str | dict[str, Any]],
    rows: Rows,
    *,
    folder: str | Path | None = None,
    stage: StageMaker = contextlib.nullcontext,
) -> EvaluationResults:
    """Judge attributions with metrics; baselines are added.

    Parameters
    ----------
    problem
        Data, models, and how models are trained.
    metrics
        By the names that results are shown under: a metric, its registered name, or its config.
    rows
        What is judged, by name: a method (its name or config), a matrix of scores ``[Q, N]``
        (positive = helpful), or an :class:`Attribution`; or a sequence of attributions.
    folder
        Where numbers of methods are kept, a folder for each row; None keeps them in memory.
    stage
        Makes a context around each stage, from its name; for measuring time and memory.

    Returns
    -------
    EvaluationResults
        A dict, JSON: "problem", "warnings", "rows", and for each metric its "config", "truth",
        "rows", "comparisons" and "notes". The same problem gives the same bytes; no times are in
        it.

    Raises
    ------
    EvaluationError
        When a metric cannot be applied, or two rows have one name.
    """
    folder = None if folder is None else Path(folder)
    judges = {name: _metric(metric) for name, metric in metrics.items()}
    own = _attributions(problem, rows, folder)
    check_metrics(judges, problem)
    for metric in judges.values():
        metric.check_models(problem)
    lines = _with_baselines(own, judges.values(), problem, folder)
    truths = {}
    for name, metric in judges.items():
        with stage(f"preparing {name}"):
            truths[name] = metric.prepare(problem)
    judgements: dict[str, dict[str, Judgement | None]] = {name: {} for name in judges}
    facts = {}
    for attribution in lines:
        with stage(f"judging {attribution.name}"):
            for name, metric in judges.items():
                if attribution in own or attribution.name in metric.baselines:
                    judgements[name][attribution.name] = metric.measure(
                        attribution, truths[name], problem
                    )
            facts[attribution.name] = attribution.facts()
            attribution.release()
    results = {
        name: _result(metric, truths[name], judgements[name], problem)
        for name, metric in judges.items()
    }
    found: dict[str, Any] = finite_json(
        {
            "format": FORMAT,
            "problem": describe(problem),
            "warnings": list(problem.warnings),
            "rows": facts,
            "metrics": results,
        }
    )
    return EvaluationResults(found)


def check_metrics(metrics: Mapping[str, Metric], problem: Problem) -> None:
    """Find metrics that cannot be applied, by what is known before models are trained.

    Parameters
    ----------
    metrics
        By the names that results are shown under.
    problem
        Its models, if there are any, are not shown to the metrics.

    Raises
    ------
    EvaluationError
        Which says what the metric needs.
    """
    if not metrics:
        raise EvaluationError("there is no metric; name one, such as {'lds': 'lds'}")
    untrained = replace(problem, models=())
    for metric in metrics.values():
        metric.check(untrained)


def _result(
    metric: Metric, truth: Any, found: Mapping[str, Judgement | None], problem: Problem
) -> dict[str, Any]:
    judged = {row: judgement for row, judgement in found.items() if judgement is not None}
    conclusion = metric.conclude(judged, truth, problem)
    return {
        "config": as_json(metric),
        "higher_is_better": metric.higher_is_better,
        "columns": [list(column) for column in metric.table_columns()],
        "truth": metric.describe(truth),
        "rows": {row: judgement.summary for row, judgement in judged.items()},
        "not_judged": [row for row, judgement in found.items() if judgement is None],
        "comparisons": list(conclusion.comparisons),
        "notes": list(conclusion.notes),
    }


def describe(problem: Problem) -> dict[str, Any]:
    """Say what is judged on, as JSON: data, models, how well they do."""
    return {
        "train": {"examples": len(problem.train), "sha256": problem.train.fingerprint()},
        "queries": {"examples": len(problem.queries), "sha256": problem.queries.fingerprint()},
        "objective": as_json(problem.objective),
        "measurement": as_json(problem.measurement),
        "weight_decay": problem.weight_decay,
        "training_reduction": problem.training_reduction,
        "seed": problem.seed,
        "recipe": problem.recipe,
        "retraining": _retraining(problem),
        "models": [
            {
                "seed": model.seed,
                "sha256": model.fingerprint,
                # How long it took is another number every time.
                "training": {
                    key: value for key, value in model.training.items() if key != "seconds"
                },
                **{
                    what: predictions.summary(
                        model.module, dataset, problem.objective, problem.device
                    )
                    for what, dataset in (("train", problem.train), ("queries", problem.queries))
                },
            }
            for model in problem.models
        ],
    }


def _retraining(problem: Problem) -> dict[str, Any] | None:
    """Say whether models are trained again as one batched program; None where none could be.

    It is found out anew each time: truths that were kept do not know how their models were trained.
    """
    if problem.trainer is None or problem.cannot_retrain:
        return None
    obstacle = training.batching_obstacle(
        problem.trainer,
        problem.make_module,
        problem.train,
        problem.objective,
        device=problem.device,
        validation=problem.validation,
    )
    return {"batched": not obstacle, "one_after_another_because": obstacle or None}


def _metric(metric: Metric | str | dict[str, Any]) -> Metric:
    if isinstance(metric, Metric):
        return metric
    made: Metric = Metric.from_config(metric)
    return made


def _attributions(problem: Problem, rows: Rows, folder: Path | None) -> list[Attribution]:
    """Make attributions of whatever rows are given as; refuse names that are taken."""
    found = []
    items: Iterable[tuple[str, Any]]
    items = rows.items() if isinstance(rows, Mapping) else ((row.name, row) for row in rows)
    names: set[str] = set()
    for name, row in items:
        if name in names:
            raise EvaluationError(f'two rows are called "{name}"; give each a name of its own')
        names.add(name)
        if isinstance(row, np.ndarray):
            row = GivenScores(name, row, problem)
        elif not isinstance(row, Attribution):
            row = MethodAttribution(name, row, problem, folder and row_folder(folder, name))
        if name in NAMES and not is_baseline(row):
            raise EvaluationError(
                f'a row is called "{name}", which is the name of a baseline; call it something else'
            )
        found.append(row)
    return found


def _with_baselines(
    own: list[Attribution], metrics: Iterable[Metric], problem: Problem, folder: Path | None
) -> list[Attribution]:
    """Return the rows, and after them the baselines that a metric asks for."""
    asked = {name for metric in metrics for name in metric.baselines}
    given = {row.name for row in own}
    added = [
        baseline(name, problem, folder and row_folder(folder, name))
        for name in [*(name for name in NAMES if name in asked), *sorted(asked - set(NAMES))]
        if name not in given
    ]
    return [*own, *added]
