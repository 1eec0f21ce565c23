"""Vectors whose inner products are the scores, for search among nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hessinf.data import Dataset
from hessinf.data.batching import batches
from hessinf.interpreters.checkpoints import parts
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.fitted_method import FittedMethod
from hessinf.interpreters.method_hooks import MethodHooks, overrides
from hessinf.interpreters.query_scoring import as_array
from hessinf.interpreters.score_stream import evaluating, query_gradients
from hessinf.runtime.progress import bar


def embed(interpreter: FittedMethod, data: Any, *, as_queries: bool) -> np.ndarray:
    """Map examples to vectors; see :meth:`InfluenceInterpreter.embed`."""
    for part, _ in parts(interpreter):
        if not overrides(type(part), "embedding"):  # before a long fit
            refusing: Any = interpreter
            MethodHooks.embedding(refusing, None)  # type: ignore[arg-type]
    examples = interpreter.check_queries(data)
    with evaluating(interpreter):
        # Weighted sums of inner products are inner products of vectors side by side.
        vectors = [
            weight**0.5 * _vectors(part, examples, as_queries)
            for part, weight in parts(interpreter)
        ]
    return as_array(torch.cat(vectors, dim=1))  # [n, D]


def _vectors(part: FittedMethod, examples: Dataset, as_queries: bool) -> torch.Tensor:
    model = part.model
    size = part.memory_plan.batch_size
    found: list[torch.Tensor] = []
    start = 0
    with bar(stage="embedding", total=len(examples)) as shown:
        for batch in batches(examples, size, device=model.device, dtype=model.dtype):
            gradients = query_gradients(part, batch) if as_queries else part.gradients(batch)
            vectors = part.embedding(gradients)  # [B, D]
            if vectors.ndim != 2 or len(vectors) != batch.size:
                raise InterpreterError(
                    f"{type(part).__name__}.embedding() returned shape {list(vectors.shape)}, "
                    f"expected a row for each of {batch.size} examples"
                )
            finite = vectors.isfinite().all(dim=1)  # [B]
            if not bool(finite.all()):
                raise InterpreterError(
                    f"the embedding of example {start + int((~finite).nonzero()[0])} is not "
                    "finite; is damping too small, or the curvature singular?"
                )
            if not found:
                _require_memory(part, len(examples), vectors)
            found.append(vectors.to(model.dtype))
            start += batch.size
            shown.update(batch.size)
    return torch.cat(found)  # [n, D]


def _require_memory(part: FittedMethod, count: int, vectors: torch.Tensor) -> None:
    size = count * vectors.shape[1] * part.model.dtype.itemsize / 2**30
    if size > part.memory_limit:
        raise InterpreterError(
            f"the embedding of {count:,} examples, {vectors.shape[1]:,} numbers each, takes "
            f"{size:,.1f} GiB, and memory_limit is {part.memory_limit:g} GiB; embed fewer examples "
            "at once, raise memory_limit, or use a method of low rank"
        )
