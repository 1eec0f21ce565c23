"""One block of queries against the whole training data: gradients, factors, scores, ranking."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hessinf.data import Dataset
from hessinf.data.batching import Batch, batches
from hessinf.gradients import Gradients, PerExampleGradients
from hessinf.interpreters.errors import InterpreterError
from hessinf.models import Loss
from hessinf.scores import Influence, Interpretation, Query
from hessinf.scores.loss_change import loss_change_if_removed
from hessinf.scores.top_k import TopK

if TYPE_CHECKING:
    from hessinf.interpreters.fitted_method import FittedMethod

ScoreSink = Callable[[int, torch.Tensor], None]
"""Called with the first training index and the scores ``[Q, B]`` of each block of examples."""


def interpret_block(
    interpreter: FittedMethod,
    queries: Dataset,
    start: int,
    stop: int,
    k: int,
    on_scores: ScoreSink | None = None,
) -> list[Interpretation]:
    """Explain the queries from ``start`` to ``stop``.

    Parameters
    ----------
    interpreter
        Fitted.
    queries
        The test data.
    start, stop
        Which of them.
    k
        How many training examples at each end.
    on_scores
        Gets the scores as they come.

    Returns
    -------
    list of Interpretation
        One a query, in order.
    """
    ranking = TopK(k)
    losses: list[torch.Tensor] = []
    with interpreter.model.evaluating():
        batch = _query_batch(interpreter, queries, start, stop)
        facts = _query_facts(interpreter, batch, start)
        for scores, train_losses in _score_stream(interpreter, batch):
            if on_scores is not None:
                on_scores(ranking.count, scores)
            ranking.add(scores)
            losses.append(train_losses)
    diagnostics = _diagnostics(interpreter, stop - start)
    all_losses = torch.cat(losses).tolist()  # N
    means = ranking.mean()  # [Q]
    helpful, harmful = (
        _side(interpreter, values, indices, means, all_losses)
        for values, indices in (ranking.helpful(), ranking.harmful())
    )
    return [
        Interpretation(
            query=_query(queries, start + row, facts, row),
            helpful=helpful[row],
            harmful=harmful[row],
            diagnostics=diagnostics[row],
        )
        for row in range(stop - start)
    ]


def _side(
    interpreter: FittedMethod,
    values: torch.Tensor,
    indices: torch.Tensor,
    means: torch.Tensor,
    losses: list[float],
) -> list[tuple[Influence, ...]]:
    """Describe one end of the ranking: scores and training indices, ``[Q, k]`` each."""
    changes = _changes(interpreter, values, means)
    return [
        tuple(
            _influence(interpreter.train_data, index, losses[index], score, change)
            for index, score, change in zip(*row, strict=True)
        )
        for row in zip(indices.tolist(), values.tolist(), changes, strict=True)
    ]


def score_block(interpreter: FittedMethod, queries: Dataset, start: int, stop: int) -> np.ndarray:
    """Score all training examples for the queries from ``start`` to ``stop``: ``[Q, N]``."""
    with interpreter.model.evaluating():
        batch = _query_batch(interpreter, queries, start, stop)
        blocks = [scores for scores, _ in _score_stream(interpreter, batch)]
    scores = torch.cat(blocks, dim=1)  # [Q, N]
    TopK(1).add(scores)  # refuses scores that are not finite
    return _as_array(scores)


def loss_changes(interpreter: FittedMethod, scores: np.ndarray) -> np.ndarray:
    """Turn scores ``[Q, N]`` into predicted loss changes ``[Q, N]``."""
    if not _predicts_changes(interpreter):
        raise InterpreterError(
            'loss changes are defined for the measurement "loss", and for methods whose scores '
            f"have a scale; found {interpreter.registered_name()} with the measurement "
            f"{interpreter.measurement.registered_name()}"
        )
    means = scores.mean(axis=1, keepdims=True, dtype=np.float64)  # [Q, 1]
    changes = loss_change_if_removed(
        scores.astype(np.float64), means, scores.shape[1], interpreter.training_reduction
    )
    in_precision: np.ndarray = changes.astype(scores.dtype)
    return in_precision


def self_influence(interpreter: FittedMethod) -> np.ndarray:
    """Score every training example for itself, ``[N]``."""
    interpreter.check_queries(interpreter.train_data)
    parts = []
    with interpreter.model.evaluating():
        for gradients, _ in interpreter.train_pass("self-influence"):
            for first in range(0, gradients.count, interpreter.query_batch_size):
                some = gradients.select(slice(first, first + interpreter.query_batch_size))
                interpreter.reports = {}
                parts.append(_own_scores(interpreter, some))
    values = torch.cat(parts)  # [N]
    if not bool(values.isfinite().all()):
        index = int((~values.isfinite()).nonzero()[0])
        raise InterpreterError(
            f"the self-influence of training example {index} is {values[index].item()}; is damping "
            "too small for the precision?"
        )
    return _as_array(values)


def _own_scores(interpreter: FittedMethod, gradients: Gradients) -> torch.Tensor:
    factors = _factors(interpreter, gradients)
    if _has_score(interpreter):
        return interpreter.score(factors, gradients).diagonal()  # [B]
    return (factors.flatten() * gradients.flatten()).sum(dim=1)  # [B]


def _factors(interpreter: FittedMethod, gradients: Gradients) -> Gradients:
    """Turn gradients into influence factors; as they are, for a method that only scores."""
    if _has_score(interpreter) and not _overrides(interpreter, "precondition"):
        return gradients
    factors = interpreter.precondition(gradients)
    if not isinstance(factors, Gradients) or factors.count != gradients.count:
        found = (
            f"Gradients of {factors.count} examples"
            if isinstance(factors, Gradients)
            else f"a {type(factors).__name__}"
        )
        raise InterpreterError(
            f"{type(interpreter).__name__}.precondition() returned {found}, expected Gradients of "
            f"{gradients.count} examples; gradients.like(matrix) makes them from [Q, P]"
        )
    return factors


def train_losses(interpreter: FittedMethod) -> np.ndarray:
    """Compute the loss of each training example, ``[N]``."""
    with interpreter.model.evaluating(), torch.no_grad():
        parts = [
            interpreter.objective.losses(
                interpreter.model.outputs(interpreter.model.parameters, batch.inputs), batch.targets
            )
            for batch in interpreter.train_batches()
        ]
    return _as_array(torch.cat(parts))  # [N]


def _as_array(values: torch.Tensor) -> np.ndarray:
    """Give NumPy the numbers; it has no bfloat16, whose values float32 holds as they are."""
    values = values.float() if values.dtype == torch.bfloat16 else values
    array: np.ndarray = values.cpu().numpy()
    return array


def _has_score(interpreter: FittedMethod) -> bool:
    return _overrides(interpreter, "score")


def _overrides(interpreter: FittedMethod, method: str) -> bool:
    """Whether a method's own class, not the base, defines ``method``."""
    owner = next(cls for cls in type(interpreter).__mro__ if method in vars(cls))
    return owner.__module__ != "hessinf.interpreters.influence_interpreter"


def _query_batch(interpreter: FittedMethod, queries: Dataset, start: int, stop: int) -> Batch:
    model = interpreter.model
    loaded = batches(queries[start:stop], stop - start, device=model.device, dtype=model.dtype)
    batch = next(iter(loaded))
    return replace(batch, indices=batch.indices + start)  # errors name the query by its own place


def _query_facts(interpreter: FittedMethod, batch: Batch, start: int) -> dict[str, list[Any]]:
    """Compute what is shown of each query: loss, measurement, prediction."""
    model, objective = interpreter.model, interpreter.objective
    with torch.no_grad():
        outputs = model.outputs(model.parameters, batch.inputs)  # [Q, ...]
        objective_losses = objective.losses(outputs, batch.targets)  # [Q]
        values = interpreter.measurement.values(outputs, batch.targets, objective)  # [Q]
        predictions = objective.predictions(outputs)  # [Q, ...]
    for name, tensor in (("loss", objective_losses), ("measurement", values)):
        if not bool(tensor.isfinite().all()):
            place = int((~tensor.isfinite()).nonzero()[0])
            raise InterpreterError(
                f"the {name} of query {start + place} is {tensor[place].item()}; likely causes: "
                "NaN or huge values among its inputs, or a model whose training diverged"
            )
    return {
        "loss": objective_losses.tolist(),
        "measurement": values.tolist(),
        "prediction": predictions.tolist(),
    }


def _score_stream(
    interpreter: FittedMethod, batch: Batch
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the scores ``[Q, B]`` and the losses ``[B]`` of the training data, batch by batch."""
    gradients = query_gradients(interpreter, batch)
    interpreter.reports = {}
    factors = _factors(interpreter, gradients)
    queries = f"queries {int(batch.indices[0])} to {int(batch.indices[-1])}"
    _check_finite(factors.flatten(), queries)
    for train, losses in interpreter.train_pass(f"scores of {queries}"):
        scores = interpreter.score(factors, train)  # [Q, B]
        if scores.shape != (batch.size, train.count):
            raise InterpreterError(
                f"{type(interpreter).__name__}.score() returned shape {list(scores.shape)}, "
                f"expected [{batch.size}, {train.count}]: queries × training examples"
            )
        yield scores, losses


def query_gradients(interpreter: FittedMethod, batch: Batch) -> Gradients:
    """Compute the gradients of what is explained, turned so that less is better."""
    measurement, objective = interpreter.measurement, interpreter.objective
    sign = -1.0 if measurement.higher_is_better else 1.0

    def values(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return sign * measurement.values(outputs, targets, objective)  # [B]

    gradients, _ = PerExampleGradients(interpreter.model, values, "measurement of the query")(batch)
    return gradients


def _check_finite(factors: torch.Tensor, queries: str) -> None:
    finite = factors.isfinite().all(dim=1)  # [Q]
    if not bool(finite.all()):
        place = int((~finite).nonzero()[0])
        raise InterpreterError(
            f"the influence factors of query {place} among {queries} are not finite; is damping "
            "too small, or the curvature singular?"
        )


def _predicts_changes(interpreter: FittedMethod) -> bool:
    return interpreter.predicts_loss_changes and isinstance(interpreter.measurement, Loss)


def _changes(
    interpreter: FittedMethod, scores: torch.Tensor, means: torch.Tensor
) -> list[list[float | None]]:
    """Predict loss changes ``[Q, k]``; None where something else than the loss is explained."""
    if not _predicts_changes(interpreter):
        return [[None] * scores.shape[1] for _ in range(len(scores))]
    count = len(interpreter.train_data)
    changes = loss_change_if_removed(
        scores.double(), means[:, None], count, interpreter.training_reduction
    )
    return changes.tolist()


def _diagnostics(interpreter: FittedMethod, count: int) -> list[dict[str, Any]]:
    """Say for each query how far to believe it."""
    common = {
        "interpreter": type(interpreter).registered_name(),
        "damping": getattr(interpreter, "damping_", None),
        "parameters_covered": interpreter.model.coverage,
        "training_reduction": interpreter.training_reduction,
    }
    rows: list[dict[str, Any]] = [dict(common) for _ in range(count)]
    for name, value in interpreter.reports.items():
        values = value.tolist() if isinstance(value, torch.Tensor) else [value] * count
        for row, item in zip(rows, values, strict=True):
            finite = not isinstance(item, float) or math.isfinite(item)
            row[name] = item if finite else str(item)
    return rows


def _query(queries: Dataset, index: int, facts: dict[str, list[Any]], row: int) -> Query:
    instance = queries[index]
    return Query(
        index=index,
        id=instance.id,
        display=instance.display,
        target=instance.target.tolist(),
        prediction=facts["prediction"][row],
        loss=facts["loss"][row],
        measurement=facts["measurement"][row],
    )


def _influence(
    train_data: Dataset, index: int, loss: float, score: float, change: float | None
) -> Influence:
    instance = train_data[index]
    return Influence(
        index=index,
        id=instance.id,
        display=instance.display,
        target=instance.target.tolist(),
        loss=loss,
        score=score,
        loss_change_if_removed=change,
    )
