"""Dense references in float64, by explicit loops over examples and entries.

They share no code with what they check: plain ``torch.autograd`` on a copy of the module instead of
``torch.func``, losses of :mod:`hessinf.testing.losses`, numpy for linear algebra. Each example is
worked on alone, and without padding; only the Hessian's graph holds all of them, since its rows
would take too long one example at a time. The order of parameters is that of
``named_parameters()``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from hessinf.testing.problem import outputs_of, select
from hessinf.testing.problems import Columns, Problem, minimize


def _prepared(problem: Problem) -> tuple[nn.Module, dict[str, nn.Parameter]]:
    """Copy the module, and list the parameters that require gradients."""
    module = problem.module().eval()
    kept = {name: value for name, value in module.named_parameters() if value.requires_grad}
    return module, kept


def _flat(tensors: Iterable[torch.Tensor]) -> np.ndarray:
    return np.concatenate([tensor.detach().numpy().reshape(-1) for tensor in tensors])  # [P]


@functools.cache
def parameter_shapes(problem: Problem) -> dict[str, tuple[int, ...]]:
    """List the parameters that θ consists of where nothing is frozen, with their shapes."""
    return {name: tuple(value.shape) for name, value in _prepared(problem)[1].items()}


def parameter_places(problem: Problem, frozen: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Say which entries of θ belong to each parameter.

    Parameters
    ----------
    problem
        Whose model.
    frozen
        Regular expressions: parameters whose names match are left out of θ.

    Returns
    -------
    dict
        From the names of parameters to indices in θ.
    """
    found, start = {}, 0
    for name, shape in parameter_shapes(problem).items():
        if not any(re.search(pattern, name) for pattern in frozen):
            stop = start + int(np.prod(shape, dtype=int))
            found[name] = np.arange(start, stop)
            start = stop
    return found


def _kept(problem: Problem, frozen: Sequence[str]) -> np.ndarray:
    """Give the indices, in θ where nothing is frozen, of what is not frozen."""
    whole = parameter_places(problem)
    return np.concatenate([whole[name] for name in parameter_places(problem, frozen)])


@functools.cache
def _all_gradients(problem: Problem, of_queries: bool) -> np.ndarray:
    return _gradients(problem, problem.queries if of_queries else problem.train)


def _gradients(problem: Problem, data: Columns) -> np.ndarray:
    module, kept = _prepared(problem)
    rows = []
    for inputs, targets in problem.examples(data):
        loss = problem.losses(outputs_of(module, inputs), targets)[0]
        rows.append(_flat(torch.autograd.grad(loss, list(kept.values()), materialize_grads=True)))
    return np.stack(rows)  # [B, P]


def gradients(problem: Problem, data: Columns, frozen: Sequence[str] = ()) -> np.ndarray:
    """Compute the gradient of every example's loss, ``[B, P]``, one example at a time."""
    if data is problem.train or data is problem.queries:
        rows = _all_gradients(problem, data is problem.queries)
    else:
        rows = _gradients(problem, data)
    return np.asarray(rows[:, _kept(problem, frozen)])


@functools.cache
def _whole_hessian(problem: Problem) -> np.ndarray:
    """Compute the Hessian of the mean training loss alone, ``[P, P]``."""
    module, named = _prepared(problem)
    kept = list(named.values())
    inputs, targets = problem.train
    with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
        total = problem.losses(outputs_of(module, inputs), targets).mean()
        slopes = torch.autograd.grad(total, kept, create_graph=True)
        entries = torch.cat([slope.reshape(-1) for slope in slopes])  # [P]
        rows = [
            _flat(torch.autograd.grad(entry, kept, retain_graph=True, materialize_grads=True))
            for entry in entries
        ]
    matrix = np.stack(rows)  # [P, P]
    return np.asarray((matrix + matrix.T) / 2)


def hessian(problem: Problem, frozen: tuple[str, ...] = ()) -> np.ndarray:
    """Compute the Hessian of the mean training loss, weight decay included: ``[P, P]``."""
    kept = _kept(problem, frozen)
    own = _whole_hessian(problem)[np.ix_(kept, kept)]
    return np.asarray(own + problem.weight_decay * np.eye(len(kept)))


@functools.cache
def linearizations(problem: Problem) -> list[tuple[np.ndarray, np.ndarray]]:
    """Linearize each training example's outputs, which are ``n`` numbers in a row.

    Returns
    -------
    list
        A pair for each example: the Jacobian ``[n, P]`` of its outputs in θ, and the second
        derivatives ``[n, n]`` of its loss in them.
    """
    module, named = _prepared(problem)
    kept = list(named.values())
    pairs = []
    for inputs, targets in problem.examples(problem.train):
        outputs = outputs_of(module, inputs)  # [1, ...]
        curvature = problem.output_hessians(outputs.detach(), targets)[0].numpy()  # [n, n]
        rows = [
            _flat(torch.autograd.grad(output, kept, retain_graph=True, materialize_grads=True))
            for output in outputs.reshape(-1)
        ]
        pairs.append((np.stack(rows), curvature))
    return pairs


def example_gauss_newton(problem: Problem, index: int, frozen: tuple[str, ...] = ()) -> np.ndarray:
    """Compute ``Jᵀ (∂²ℓ/∂f²) J`` of one training example, ``[P, P]``."""
    jacobian, curvature = linearizations(problem)[index]
    jacobian = jacobian[:, _kept(problem, frozen)]  # [n, P]
    return np.asarray(jacobian.T @ curvature @ jacobian)


@functools.cache
def _whole_gauss_newton(problem: Problem) -> np.ndarray:
    total = np.zeros_like(example_gauss_newton(problem, 0))  # [P, P]
    for index in range(problem.num_train):
        total += example_gauss_newton(problem, index)
    return total / problem.num_train


def gauss_newton(problem: Problem, frozen: tuple[str, ...] = ()) -> np.ndarray:
    """Compute ``1/N Σ Jᵀ (∂²ℓ/∂f²) J``, weight decay included: ``[P, P]``."""
    kept = _kept(problem, frozen)
    own = _whole_gauss_newton(problem)[np.ix_(kept, kept)]
    return np.asarray(own + problem.weight_decay * np.eye(len(kept)))


def parameter_blocks(
    problem: Problem, frozen: tuple[str, ...] = (), by: str = "parameter"
) -> dict[str, np.ndarray]:
    """Divide θ into blocks.

    Parameters
    ----------
    problem
        Whose model.
    frozen
        Regular expressions of parameters that are left out.
    by
        "parameter", or "layer": parameters of one module together.

    Returns
    -------
    dict
        From names to the indices of each block's entries.
    """
    blocks: dict[str, list[np.ndarray]] = {}
    for name, entries in parameter_places(problem, frozen).items():
        block = name if by == "parameter" else name.rpartition(".")[0]
        blocks.setdefault(block, []).append(entries)
    return {name: np.concatenate(parts) for name, parts in blocks.items()}


def block_diagonal(matrix: np.ndarray, blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Keep the entries of a matrix ``[P, P]`` within blocks, and set the others to zero."""
    kept = np.zeros_like(matrix)
    for entries in blocks:
        kept[np.ix_(entries, entries)] = matrix[np.ix_(entries, entries)]
    return kept


def damped_scores(
    problem: Problem, curvature: np.ndarray, damping: float, frozen: Sequence[str] = ()
) -> np.ndarray:
    """Compute ``∇ℓ_qᵀ (C + λI)⁻¹ ∇ℓ_i`` for all queries and training examples: ``[Q, N]``."""
    damped = curvature + damping * np.eye(len(curvature))  # [P, P]
    queries = gradients(problem, problem.queries, frozen)  # [Q, P]
    train = gradients(problem, problem.train, frozen)  # [N, P]
    return np.asarray(queries @ np.linalg.solve(damped, train.T))  # [Q, N]


@functools.cache
def loss_changes_by_retraining(problem: Problem) -> np.ndarray:
    """Train anew without each example in turn, and see what the queries' losses gain: ``[Q, N]``.

    The objective stays the mean over the examples that are left, with the same weight decay. Only
    for strictly convex problems: there the optimum is one, wherever training starts.
    """

    def query_losses(module: nn.Module) -> np.ndarray:
        module.eval()
        inputs, targets = problem.queries
        with torch.no_grad():
            losses = problem.losses(outputs_of(module, inputs), targets)  # [Q]
        return np.asarray(losses.numpy())

    before = query_losses(problem.module())  # [Q]
    columns = []
    for index in range(problem.num_train):
        left = torch.arange(problem.num_train) != index  # [N]
        module = problem.module()
        rest = select(problem.train, left)
        minimize(module, problem.losses, rest, problem.weight_decay, steps=2)
        columns.append(query_losses(module) - before)
    return np.stack(columns, axis=1)  # [Q, N]
