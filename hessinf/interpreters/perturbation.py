"""Scores differentiated in the inputs of training examples: ``∂score[q, i] / ∂x_i``.

``score[q, i] = f_qᵀ ∇_θ ℓ_i(x_i)``, so ``∂score/∂x_i = f_qᵀ ∂²ℓ_i/∂θ∂x_i``. The gradient of the
summed loss of a batch is differentiated once more, in the direction of each query's factors: no
matrix of parameters by input features is ever formed.

References
----------
Koh & Liang, Understanding Black-box Predictions via Influence Functions, ICML 2017, eq. 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from hessinf.data import Dataset
from hessinf.data.batching import Batch, Batches, batches
from hessinf.interpreters.checkpoints import parts
from hessinf.interpreters.errors import InterpreterError
from hessinf.interpreters.fitted_method import FittedMethod
from hessinf.interpreters.inner_products import scores_are_inner_products
from hessinf.interpreters.input_gradients import InputGradients, OwnRuleInputGradients, as_dict
from hessinf.interpreters.query_scoring import as_array
from hessinf.interpreters.score_stream import block_factors, evaluating, query_blocks
from hessinf.runtime.progress import bar


def perturbation_influence(
    interpreter: FittedMethod, queries: Dataset, train_indices: Sequence[int] | None
) -> np.ndarray | dict[str, np.ndarray]:
    """Differentiate scores in inputs; see :meth:`InfluenceInterpreter.perturbation_influence`."""
    data = interpreter.train_data
    train = data if train_indices is None else data.subset(train_indices)
    if not len(train):
        raise InterpreterError("train_indices is empty, expected at least one training index")
    shapes = _floating_shapes(train)
    dtype = torch.float32 if interpreter.model.dtype.itemsize == 2 else interpreter.model.dtype
    _require_memory(interpreter, shapes, len(queries), len(train), dtype)
    results = {
        name: torch.zeros(len(queries), len(train), *shape, dtype=dtype)
        for name, shape in shapes.items()
    }
    batches_of = {
        by_factors: _batches(interpreter, train, by_factors)
        for by_factors in {scores_are_inner_products(part) for part, _ in parts(interpreter)}
    }
    with evaluating(interpreter), bar(stage="perturbation influence", total=len(queries)) as shown:
        start = 0
        for batch in query_blocks(interpreter, queries):
            rows = slice(start, start + batch.size)
            for part, weight in parts(interpreter):
                chosen = batches_of[scores_are_inner_products(part)]
                _add(part, weight, batch, chosen, {n: x[rows] for n, x in results.items()})
            start += batch.size
            shown.update(batch.size)
    _check_finite(results)
    arrays = {name: as_array(values) for name, values in results.items()}
    return arrays if isinstance(train[0].inputs, dict) else arrays[""]


def _floating_shapes(train: Dataset) -> dict[str, tuple[int, ...]]:
    """Return the shape of each floating entry of the inputs; the longest, where they differ."""
    if train.columns is not None:
        whole = as_dict(train.columns.inputs)
        shapes = {n: tuple(x.shape[1:]) for n, x in whole.items() if x.is_floating_point()}
        kinds = whole
    else:
        kinds = as_dict(train[0].inputs)
        shapes = {}
        for instance in train:
            for name, value in as_dict(instance.inputs).items():
                if value.is_floating_point():
                    known = shapes.get(name, tuple(value.shape))
                    longest = [max(pair) for pair in zip(known, value.shape, strict=True)]
                    shapes[name] = tuple(longest)
    if not shapes:
        found = ", ".join(
            f'"{name}": {_kind(value)}' if name else _kind(value) for name, value in kinds.items()
        )
        raise InterpreterError(
            "perturbation influence needs inputs that are floating numbers, in which a score has "
            f"derivatives; those of the training data are {found}. For tokens, explain a model "
            "that takes their embeddings"
        )
    return shapes


def _kind(value: torch.Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _require_memory(
    interpreter: FittedMethod,
    shapes: Mapping[str, tuple[int, ...]],
    num_queries: int,
    num_train: int,
    dtype: torch.dtype,
) -> None:
    numbers = sum(int(np.prod(shape)) for shape in shapes.values())
    size = num_queries * num_train * numbers * dtype.itemsize / 2**30
    if size > interpreter.memory_limit:
        raise InterpreterError(
            f"the perturbation influence of {num_train:,} training examples on {num_queries:,} "
            f"queries, {numbers:,} input features each, takes {size:,.1f} GiB, and memory_limit is "
            f"{interpreter.memory_limit:g} GiB; choose fewer train_indices or queries, or raise "
            "memory_limit"
        )


def _batches(interpreter: FittedMethod, train: Dataset, by_factors: bool) -> Batches:
    """Read training examples: one by one, where a method's own rule has to be differentiated."""
    first, _ = parts(interpreter)[0]
    size = first.memory_plan.batch_size if by_factors else 1
    return batches(train, size, device=first.model.device, dtype=first.model.dtype)


def _add(
    part: FittedMethod,
    weight: float,
    queries: Batch,
    train: Batches,
    results: Mapping[str, torch.Tensor],
) -> None:
    """Add one model's derivatives of a block of queries to the results, ``[Q, n, ...]`` each."""
    factors = block_factors(part, queries)  # Q
    by_factors = scores_are_inner_products(part)
    derivatives: Any = InputGradients(part) if by_factors else OwnRuleInputGradients(part)
    start = 0
    for batch in train:
        for name, values in derivatives(batch, factors).items():  # [Q, B, ...]
            inner = (slice(0, length) for length in values.shape[2:])
            places = (slice(None), slice(start, start + batch.size), *inner)
            results[name][places] += weight * values.to(results[name])
        start += batch.size


def _check_finite(results: Mapping[str, torch.Tensor]) -> None:
    for values in results.values():
        finite = values.isfinite().reshape(*values.shape[:2], -1).all(dim=2)  # [Q, n]
        if not bool(finite.all()):
            query, example = (int(place) for place in (~finite).nonzero()[0])
            raise InterpreterError(
                f"the perturbation influence of chosen training example {example} on query "
                f"{query} is not finite; likely causes: damping too small, or a square root or "
                "logarithm at zero"
            )
