"""One block of queries against the whole training data: gradients, factors, scores, ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from hessinf.data import Dataset
from hessinf.data.batching import Batch
from hessinf.interpreters.diagnostics import diagnostics_of
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.method_hooks import is_last
from hessinf.interpreters.refined_loss_change import RefinedLists, refine_lists
from hessinf.interpreters.score_stream import evaluating, query_batch, score_stream
from hessinf.models import Loss, Objective
from hessinf.scores import Influence, Interpretation, Query
from hessinf.scores.loss_change import loss_change_if_removed
from hessinf.scores.score_histogram import ScoreDistribution
from hessinf.scores.top_k import TopK, require_finite

if TYPE_CHECKING:
    from hessinf.gradients import Gradients
    from hessinf.interpreters.fitted_method import FittedMethod

ScoreSink = Callable[[int, torch.Tensor], None]
"""Called with the first training index and the scores ``[Q, B]`` of each block of examples."""

Lists = Sequence[tuple[Influence, ...]]
"""One end of the ranking, for each query."""


class SplitsLists(Protocol):
    """A :class:`~hessinf.interpreters.listed_tokens.ListedTokens`, from below."""

    def added(
        self, batch: Batch, sides: Sequence[Lists], factors: Mapping[int, Gradients]
    ) -> Sequence[Lists]:
        """Say of each training example in lists what its tokens contribute."""


def interpret_block(
    interpreter: FittedMethod,
    queries: Dataset,
    start: int,
    stop: int,
    k: int,
    on_scores: ScoreSink | None = None,
    tokens: SplitsLists | None = None,
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
    tokens
        Splits the scores in the lists by token; None leaves that out.

    Returns
    -------
    list of Interpretation
        One a query, in order.
    """
    ranking = TopK(k)
    distribution = ScoreDistribution(stop - start, interpreter.model.device)
    losses: list[torch.Tensor] = []
    with evaluating(interpreter):
        batch = query_batch(interpreter, queries, start, stop)
        facts = _query_facts(interpreter, batch, start)
        factors: dict[int, Gradients] | None = None if tokens is None else {}
        for scores, train_losses in score_stream(interpreter, batch, factors):
            if on_scores is not None:
                on_scores(ranking.count, scores)
            ranking.add(scores)
            distribution.add(scores)
            losses.append(train_losses)
        sides = (ranking.helpful(), ranking.harmful())
        lists = torch.cat([indices for _, indices in sides], dim=1)  # [Q, 2k]
        refined = None
        if interpreter.refinement is not None:
            refined = refine_lists(interpreter, queries[start:stop], lists)
    diagnostics = diagnostics_of(interpreter, stop - start)
    distributions = distribution.to_json()
    all_losses = torch.cat(losses).tolist()  # N
    means = ranking.mean()  # [Q]
    ends: Sequence[Lists] = [
        _side(interpreter, values, indices, means, all_losses, refined) for values, indices in sides
    ]
    if tokens is not None:
        ends = tokens.added(batch, ends, factors or {})
    helpful, harmful = ends
    return [
        Interpretation(
            query=_query(queries, start + row, facts, row),
            helpful=helpful[row],
            harmful=harmful[row],
            diagnostics=diagnostics[row]
            | ({} if refined is None else refined.diagnostics(lists[row].tolist())),
            scores=distributions[row],
        )
        for row in range(stop - start)
    ]


def _side(
    interpreter: FittedMethod,
    values: torch.Tensor,
    indices: torch.Tensor,
    means: torch.Tensor,
    losses: list[float],
    refined: RefinedLists | None,
) -> list[tuple[Influence, ...]]:
    """Describe one end of the ranking: scores and training indices, ``[Q, k]`` each."""
    changes = _changes(interpreter, values, means)
    return [
        tuple(
            _influence(
                interpreter.train_data,
                index,
                losses[index],
                score,
                change,
                None if refined is None else refined.of(number, index),
            )
            for index, score, change in zip(*row, strict=True)
        )
        for number, row in enumerate(zip(indices.tolist(), values.tolist(), changes, strict=True))
    ]


def score_block(interpreter: FittedMethod, queries: Dataset, start: int, stop: int) -> np.ndarray:
    """Score all training examples for the queries from ``start`` to ``stop``: ``[Q, N]``."""
    with evaluating(interpreter):
        batch = query_batch(interpreter, queries, start, stop)
        blocks = [scores for scores, _ in score_stream(interpreter, batch)]
    scores = blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=1)  # [Q, N]
    require_finite(scores, 0)
    return as_array(scores)


def loss_changes(interpreter: FittedMethod, scores: np.ndarray) -> np.ndarray:
    """Turn scores ``[Q, N]`` into predicted loss changes ``[Q, N]``."""
    if not predicts_changes(interpreter):
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


def as_array(values: torch.Tensor) -> np.ndarray:
    """Give NumPy the numbers; it has no bfloat16, whose values float32 holds as they are."""
    values = values.float() if values.dtype == torch.bfloat16 else values
    array: np.ndarray = values.cpu().numpy()
    return array


def _query_facts(interpreter: FittedMethod, batch: Batch, start: int) -> dict[str, list[Any]]:
    """Compute what is shown of each query: loss, measurement, prediction."""
    model, objective = interpreter.model, interpreter.objective
    with torch.no_grad():
        outputs = model.outputs(model.parameters, batch.inputs)  # [Q, ...]
        objective_losses = objective.losses(outputs, batch.targets)  # [Q]
        values = interpreter.measurement.values(outputs, batch.targets, objective)  # [Q]
        predictions = objective.predictions(outputs)  # [Q, ...]
        probabilities = None
        if is_last(objective, "probabilities", "predictions"):
            probabilities = objective.probabilities(outputs)  # [Q, C] or None
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
        "probability": [None] * batch.size
        if probabilities is None
        else _probabilities(objective, probabilities, predictions, batch.targets),
    }


def _probabilities(
    objective: Objective,
    probabilities: torch.Tensor,
    predictions: torch.Tensor,
    targets: torch.Tensor,
) -> list[dict[str, float | None]]:
    """Look up what each query's prediction and target have of probabilities ``[Q, C]``."""
    count = len(targets)
    if (
        probabilities.dim() != 2
        or len(probabilities) != count
        or predictions.shape != (count,)
        or not bool(((predictions >= 0) & (predictions < probabilities.shape[1])).all())
    ):
        raise InterpreterError(
            f"{objective.described} gives probabilities of shape {list(probabilities.shape)} with "
            f"predictions of shape {list(predictions.shape)}, expected [{count}, C] and the places "
            f"[{count}] of what is predicted among the C; correct its method `probabilities`, or "
            "return None where no single class is predicted"
        )
    classes = torch.arange(probabilities.shape[1], device=targets.device)  # [C]
    # A target between two classes, or one that is ignored, is none of them.
    is_target = targets.reshape(count, -1)[:, :1] == classes  # [Q, C]
    predicted = probabilities.gather(1, predictions[:, None])[:, 0].tolist()  # Q
    of_target = torch.where(is_target, probabilities, 0.0).sum(dim=1).tolist()  # Q
    return [
        {"prediction": prediction, "target": target if known else None}
        for prediction, target, known in zip(
            predicted, of_target, is_target.any(dim=1).tolist(), strict=True
        )
    ]


def predicts_changes(interpreter: FittedMethod) -> bool:
    """Whether loss changes follow from the scores."""
    return interpreter.predicts_loss_changes and isinstance(interpreter.measurement, Loss)


def _changes(
    interpreter: FittedMethod, scores: torch.Tensor, means: torch.Tensor
) -> list[list[float | None]]:
    """Predict loss changes ``[Q, k]``; None where something else than the loss is explained."""
    if not predicts_changes(interpreter):
        return [[None] * scores.shape[1] for _ in range(len(scores))]
    count = len(interpreter.train_data)
    changes = loss_change_if_removed(
        scores.double(), means[:, None], count, interpreter.training_reduction
    )
    return changes.tolist()


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
        probability=facts["probability"][row],
    )


def _influence(
    train_data: Dataset,
    index: int,
    loss: float,
    score: float,
    change: float | None,
    refined: float | None,
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
        loss_change_refined=refined,
    )
