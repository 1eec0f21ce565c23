"""Every training example beside itself: ``∇ℓ_iᵀ (C + λI)⁻¹ ∇ℓ_i``, in one pass."""

from __future__ import annotations

import numpy as np
import torch

from hessinf.gradients import Gradients
from hessinf.interpreters.checkpoints import parts
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.fitted_method import FittedMethod
from hessinf.interpreters.method_hooks import factors_of, overrides, scorer_of, takes_factors
from hessinf.interpreters.query_scoring import as_array
from hessinf.interpreters.score_stream import evaluating, weighted_sum
from hessinf.scores.norms import squared_norms

AT_ONCE = 64
"""Examples whose factors are computed together: they are formed, and so are their gradients."""


def self_influence(interpreter: FittedMethod) -> np.ndarray:
    """Score every training example for itself, ``[N]``."""
    interpreter.check_queries(interpreter.train_data)
    with evaluating(interpreter):
        values = weighted_sum(interpreter, [_own(part) for part, _ in parts(interpreter)])  # [N]
    if not bool(values.isfinite().all()):
        index = int((~values.isfinite()).nonzero()[0])
        raise InterpreterError(
            f"the self-influence of training example {index} is {values[index].item()}; is damping "
            "too small for the precision?"
        )
    return as_array(values)


def _own(interpreter: FittedMethod) -> torch.Tensor:
    """Go through the training data once, for one model: ``[N]``."""
    found = []
    factored = takes_factors(interpreter)
    for gradients, _ in interpreter.train_pass("self-influence", factored=factored):
        step = min(interpreter.query_batch_size, AT_ONCE)
        for first in range(0, gradients.count, step):
            some = gradients.select(slice(first, first + step))
            interpreter.reports = {}
            found.append(_own_scores(interpreter, some))
    return torch.cat(found)  # [N]


def _own_scores(interpreter: FittedMethod, gradients: Gradients) -> torch.Tensor:
    cls = type(interpreter)
    if not overrides(cls, "precondition"):
        return scorer_of(interpreter, gradients)(gradients).diagonal()  # [B]
    factors = factors_of(interpreter, gradients)
    if overrides(cls, "score"):
        return interpreter.score(factors, gradients).diagonal()  # [B]
    if factors is gradients:
        return squared_norms(gradients)  # [B]
    return (factors.flatten() * gradients.flatten()).sum(dim=1)  # [B]
