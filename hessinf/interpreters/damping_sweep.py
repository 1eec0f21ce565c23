"""Scores at several dampings, for methods that can change their damping after ``fit``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hessinf.data.batching import Batch
from hessinf.gradients import Gradients
from hessinf.interpreters.checkpoints import parts
from hessinf.interpreters.fitted_method import FittedMethod
from hessinf.interpreters.inner_products import scores_are_inner_products
from hessinf.interpreters.method_hooks import MethodHooks, overrides
from hessinf.interpreters.query_scoring import as_array
from hessinf.interpreters.score_stream import (
    block_factors,
    evaluating,
    query_blocks,
    said,
    score_stream,
    weighted_sum,
)
from hessinf.scores.contraction import InnerProducts
from hessinf.scores.top_k import require_finite

if TYPE_CHECKING:
    from hessinf.curvature import Damping


def scores_by_damping(
    interpreter: FittedMethod, test_data: Any, dampings: Sequence[Damping]
) -> np.ndarray:
    """Score at several dampings; see :meth:`InfluenceInterpreter.scores_by_damping`."""
    if not len(dampings):
        raise ValueError("scores_by_damping needs at least one damping, found none")
    if not overrides(type(interpreter), "change_damping"):  # before a long fit
        refusing: Any = interpreter
        MethodHooks.change_damping(refusing, dampings[0])
    queries = interpreter.check_queries(test_data)
    own = interpreter.arguments["damping"]
    sweep = _together if scores_are_inner_products(interpreter) else _one_after_another
    try:
        with evaluating(interpreter):
            blocks = [
                sweep(interpreter, batch, dampings) for batch in query_blocks(interpreter, queries)
            ]
    finally:
        interpreter.change_damping(own)
    return np.concatenate(blocks, axis=1)  # [D, Q, N]


def _together(interpreter: FittedMethod, batch: Batch, dampings: Sequence[Damping]) -> np.ndarray:
    """Compute the factors at all dampings, and go through the training data once."""
    totals = [_part(part, batch, dampings) for part, _ in parts(interpreter)]
    return as_array(weighted_sum(interpreter, totals))  # [D, Q, N]


def _part(part: FittedMethod, batch: Batch, dampings: Sequence[Damping]) -> torch.Tensor:
    factors = []
    for damping in dampings:
        part.change_damping(damping)
        factors.append(block_factors(part, batch).flatten())  # [Q, P]
    stacked = Gradients.from_flat(torch.cat(factors), part.model.layout)  # D · Q
    products = InnerProducts(stacked, precision=part.score_precision)
    del factors
    blocks = []
    start = 0
    stage = f"scores of {said(batch)} at {len(dampings)} dampings"
    for gradients, _ in part.train_pass(stage, factored=True):
        scores = products(gradients)  # [D · Q, B]
        require_finite(scores, start)
        blocks.append(scores)
        start += gradients.count
    return torch.cat(blocks, dim=1).reshape(len(dampings), batch.size, -1)  # [D, Q, N]


def _one_after_another(
    interpreter: FittedMethod, batch: Batch, dampings: Sequence[Damping]
) -> np.ndarray:
    """Score by the method's own rule, which may look at what damping has changed."""
    found = []
    for damping in dampings:
        interpreter.change_damping(damping)
        scores = torch.cat([part for part, _ in score_stream(interpreter, batch)], dim=1)  # [Q, N]
        require_finite(scores, 0)
        found.append(scores)
    return as_array(torch.stack(found))  # [D, Q, N]
