"""Scores split by block of parameters: how much of a score each layer makes up."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hessinf.curvature.blocks import Blocks, columns_of, parameter_blocks
from hessinf.interpreters.checkpoints import parts
from hessinf.interpreters.fitted_method import FittedMethod
from hessinf.interpreters.inner_products import require_inner_products
from hessinf.interpreters.query_scoring import as_array
from hessinf.interpreters.score_stream import block_factors, evaluating, query_blocks, said
from hessinf.scores.top_k import require_finite


def scores_by_block(
    interpreter: FittedMethod, test_data: Any, blocks: Blocks
) -> dict[str, np.ndarray]:
    """Split scores by block; see :meth:`InfluenceInterpreter.scores_by_block`."""
    require_inner_products(interpreter, "scores by block")
    inside = parameter_blocks(list(interpreter.model.parameters), blocks)
    queries = interpreter.check_queries(test_data)
    columns = {
        name: columns_of(interpreter.model.layout, members) for name, members in inside.items()
    }
    rows: dict[str, list[np.ndarray]] = {name: [] for name in columns}
    with evaluating(interpreter):
        for batch in query_blocks(interpreter, queries):
            totals: dict[str, torch.Tensor] = {}
            for part, weight in parts(interpreter):
                factors = block_factors(part, batch).flatten()  # [Q, P]
                stage = f"scores of {said(batch)} by block"
                for name, scores in _by_block(part, factors, columns, stage).items():
                    own = scores if weight == 1 else weight * scores  # [Q, N]
                    totals[name] = totals[name] + own if name in totals else own
            for name, scores in totals.items():
                rows[name].append(as_array(scores))
    return {name: np.concatenate(found) for name, found in rows.items()}


def _by_block(
    part: FittedMethod,
    factors: torch.Tensor,
    columns: dict[str, slice | torch.Tensor],
    stage: str,
) -> dict[str, torch.Tensor]:
    """Go through the training data once, for one model: ``[Q, N]`` for each block."""
    found: dict[str, list[torch.Tensor]] = {name: [] for name in columns}
    start = 0
    for gradients, _ in part.train_pass(stage):
        flat = gradients.flatten()  # [B, P]
        for name, places in columns.items():
            scores = factors[:, places] @ flat[:, places].T  # [Q, B]
            require_finite(scores, start)
            found[name].append(scores)
        start += gradients.count
    return {name: torch.cat(scores, dim=1) for name, scores in found.items()}
