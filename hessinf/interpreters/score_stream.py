"""Scores of a block of queries, while the training data go by: gradients, factors, products."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from hessinf.data import Dataset
from hessinf.data.batching import Batch, batches
from hessinf.gradients import Gradients
from hessinf.interpreters.checkpoints import parts
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.finite_factors import FactorsNotFinite, require_finite_factors
from hessinf.interpreters.fitted_method import FittedMethod
from hessinf.interpreters.method_hooks import (
    factors_of,
    own_scorer,
    scorer_of,
    takes_factors,
)
from hessinf.scores.contraction import InnerProducts


@contextlib.contextmanager
def evaluating(interpreter: FittedMethod) -> Iterator[None]:
    """Put the model, and those of all checkpoints, into evaluation mode while the block runs."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(interpreter.model.evaluating())
        for member in interpreter.members:
            stack.enter_context(member.model.evaluating())
        yield


def query_batch(interpreter: FittedMethod, queries: Dataset, start: int, stop: int) -> Batch:
    """Read the queries from ``start`` to ``stop``; ``indices`` are their places among all."""
    model = interpreter.model
    loaded = batches(queries[start:stop], stop - start, device=model.device, dtype=model.dtype)
    batch = next(iter(loaded))
    return replace(batch, indices=batch.indices + start)  # errors name the query by its own place


def query_blocks(interpreter: FittedMethod, queries: Dataset) -> Iterator[Batch]:
    """Read the queries block by block."""
    for start in range(0, len(queries), interpreter.query_batch_size):
        stop = min(start + interpreter.query_batch_size, len(queries))
        yield query_batch(interpreter, queries, start, stop)


def score_stream(
    interpreter: FittedMethod, batch: Batch, kept: dict[int, Gradients] | None = None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Score the training data for a block of queries, batch by batch.

    Parameters
    ----------
    interpreter
        Fitted; with all its models in evaluation mode.
    batch
        Q queries.
    kept
        Gets the influence factors of the queries, by the ``id`` of the part of the interpreter,
        where the scores are inner products with them: for what needs them again.

    Yields
    ------
    tuple of torch.Tensor
        The scores ``[Q, B]`` and the losses ``[B]`` of the next B training examples.
    """
    if not interpreter.members:
        yield from _own_stream(interpreter, batch, kept)
        return
    streams = [
        _own_stream(member, batch, kept, f" at {path}") for member, path in _named(interpreter)
    ]
    losses = interpreter.training_losses  # [N]
    start = 0
    for blocks in _side_by_side([(scores for scores, _ in stream) for stream in streams]):
        scores = weighted_sum(interpreter, blocks)  # [Q, B]
        yield scores, losses[start : start + scores.shape[1]]
        start += scores.shape[1]
    interpreter.reports = worst_of([member.reports for member in interpreter.members])


def _side_by_side(streams: Sequence[Iterator[torch.Tensor]]) -> Iterator[list[torch.Tensor]]:
    """Cut streams of columns ``[Q, B]`` so that all give as many at a time.

    Batches may differ from model to model, where one of them was short of memory.
    """
    pending: list[torch.Tensor | None] = [None] * len(streams)
    while True:
        for place, stream in enumerate(streams):
            if pending[place] is None:
                pending[place] = next(stream, None)
        blocks = [block for block in pending if block is not None]
        if len(blocks) < len(streams):
            return
        width = min(block.shape[1] for block in blocks)
        yield [block[:, :width] for block in blocks]
        pending = [block[:, width:] if block.shape[1] > width else None for block in blocks]


def _named(interpreter: FittedMethod) -> list[tuple[FittedMethod, str]]:
    return list(zip(interpreter.members, interpreter.checkpoints, strict=True))


def weighted_sum(interpreter: FittedMethod, values: list[torch.Tensor]) -> torch.Tensor:
    """Add up what the parts of an interpreter give, by their weights."""
    if len(values) == 1 and not interpreter.members:
        return values[0]
    total = torch.zeros_like(values[0])
    for (_, weight), value in zip(parts(interpreter), values, strict=True):
        total += weight * value
    return total


def worst_of(reports: list[dict[str, object]]) -> dict[str, object]:
    """Join the diagnostics of several checkpoints: the least that holds for all of them.

    The largest of numbers (residuals, steps), False where one of them is False, and of anything
    else what all agree about.
    """
    joined: dict[str, object] = {}
    for name in dict.fromkeys(name for report in reports for name in report):
        values = [report[name] for report in reports if name in report]
        if all(isinstance(value, torch.Tensor) for value in values):
            stacked = torch.stack([value for value in values if isinstance(value, torch.Tensor)])
            joined[name] = stacked.amin(0) if stacked.dtype == torch.bool else stacked.amax(0)
        elif all(isinstance(value, bool) for value in values):
            joined[name] = all(values)
        elif all(isinstance(value, int | float) for value in values):
            joined[name] = max(value for value in values if isinstance(value, int | float))
        elif all(value == values[0] for value in values):
            joined[name] = values[0]
    return joined


def _own_stream(
    interpreter: FittedMethod,
    batch: Batch,
    kept: dict[int, Gradients] | None,
    where: str = "",
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield scores and losses of one model."""
    interpreter.reports = {}
    with _named_queries(batch):
        scorer = scorer_of(interpreter, query_gradients(interpreter, batch))
    if kept is not None and isinstance(scorer, InnerProducts) and not own_scorer(interpreter):
        kept[id(interpreter)] = scorer.factors
    stage = f"scores of {said(batch)}{where}"
    for train, losses in interpreter.train_pass(stage, factored=takes_factors(interpreter)):
        scores = scorer(train)  # [Q, B]
        if scores.shape != (batch.size, train.count):
            hook = "scorer" if own_scorer(interpreter) else "score"
            raise InterpreterError(
                f"{type(interpreter).__name__}.{hook}() returned shape {list(scores.shape)}, "
                f"expected [{batch.size}, {train.count}]: queries × training examples"
            )
        yield scores, losses


def said(batch: Batch) -> str:
    """Name a block of queries."""
    return f"queries {int(batch.indices[0])} to {int(batch.indices[-1])}"


def block_factors(interpreter: FittedMethod, batch: Batch) -> Gradients:
    """Compute the influence factors of a block of queries, for one model, and check them.

    Parameters
    ----------
    interpreter
        Without checkpoints of its own; its reports are those of this block afterwards.
    batch
        Q queries.
    """
    gradients = query_gradients(interpreter, batch)
    interpreter.reports = {}
    with _named_queries(batch):
        factors = factors_of(interpreter, gradients)
        require_finite_factors(factors)
    return factors


@contextlib.contextmanager
def _named_queries(batch: Batch) -> Iterator[None]:
    """Name the block of queries in errors that tell a query by its place in it."""
    try:
        yield
    except FactorsNotFinite as error:
        raise InterpreterError(
            f"the influence factors of query {error.place} among {said(batch)} are not finite; is "
            "damping too small, or the curvature singular?"
        ) from error


def query_gradients(interpreter: FittedMethod, batch: Batch) -> Gradients:
    """Compute the gradients of what is explained, turned so that less is better."""
    return interpreter.measured_gradients(batch)[0]
