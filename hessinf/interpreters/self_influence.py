"""Every training example beside itself: ``∇ℓ_iᵀ (C + λI)⁻¹ ∇ℓ_i``, in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hessinf.gradients import Gradients
from hessinf.interpreters.checkpoints import parts
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.fitted_method import FittedMethod
from hessinf.interpreters.method_hooks import (
    RULES,
    MethodHooks,
    is_last,
    overrides,
    takes_factors,
)
from hessinf.interpreters.query_scoring import as_array
from hessinf.interpreters.score_stream import evaluating, weighted_sum


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
        interpreter.reports = {}
        values = _scores_of(interpreter, gradients)  # [B]
        found.append(values.to(interpreter.model.dtype))
    return torch.cat(found)  # [N]


def _scores_of(method: Any, gradients: Gradients) -> torch.Tensor:
    """Score B training examples for themselves as the method's hooks say: ``[B]``."""
    if not own_self_score(method):
        return MethodHooks.self_score(method, gradients)
    found: torch.Tensor = method.self_score(gradients)
    if found.shape != (gradients.count,):
        raise InterpreterError(
            f"{type(method).__name__}.self_score() returned shape {list(found.shape)}, expected "
            f"[{gradients.count}]: one number an example"
        )
    return found


def own_self_score(method: Any) -> bool:
    """Whether a method's ``self_score`` goes with its other hooks."""
    own = is_last(method, "self_score", "scorer", *RULES)
    return own and overrides(type(method), "self_score")
