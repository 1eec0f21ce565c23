"""How far to believe a query's scores: what was reported while they were computed."""

from __future__ import annotations

import math
from typing import Any

import torch

from hessinf.interpreters.checkpoints import parts
from hessinf.interpreters.fitted_method import FittedMethod


def applied_damping(interpreter: FittedMethod) -> Any:
    """Return the λ that was used: a number, or a dict by block; by checkpoint where there are some.

    None for methods without damping.
    """
    if not interpreter.members:
        return getattr(interpreter, "damping_", None)
    found = [getattr(member, "damping_", None) for member in interpreter.members]
    if all(damping is None for damping in found):
        return None
    return dict(zip(interpreter.checkpoints, found, strict=True))


def gradient_routes(interpreter: FittedMethod) -> dict[str, list[str]] | None:
    """Say which parameters' gradients were computed which way; None where none were."""
    first, _ = parts(interpreter)[0]
    routes = first.gradient_routes
    return None if routes is None else {route: list(names) for route, names in routes.items()}


def diagnostics_of(interpreter: FittedMethod, count: int) -> list[dict[str, Any]]:
    """Say for each query of a block how far to believe it.

    Parameters
    ----------
    interpreter
        Its reports are those of the block.
    count
        How many queries the block has.
    """
    common = {
        "interpreter": type(interpreter).registered_name(),
        "damping": applied_damping(interpreter),
        "parameters_covered": interpreter.model.coverage,
        "training_reduction": interpreter.training_reduction,
    }
    if interpreter.members:
        common["checkpoints"] = len(interpreter.members)
    rows: list[dict[str, Any]] = [dict(common) for _ in range(count)]
    for name, value in interpreter.reports.items():
        values = value.tolist() if isinstance(value, torch.Tensor) else [value] * count
        for row, item in zip(rows, values, strict=True):
            finite = not isinstance(item, float) or math.isfinite(item)
            row[name] = item if finite else str(item)
    return rows
