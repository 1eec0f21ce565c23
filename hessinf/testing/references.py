"""Dense references in float64, by explicit loops over examples and entries.

They share no code with what they check: plain ``torch.autograd`` on a copy of the module instead of
``torch.func``, losses of :mod:`hessinf.testing.problems`, numpy for linear algebra. The order of
parameters is that of ``named_parameters()``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from hessinf.testing.problems import Columns, Problem, minimize


def _prepared(problem: Problem, frozen: Sequence[str]) -> tuple[nn.Module, list[nn.Parameter]]:
    """Copy the module, and list the parameters that θ consists of."""
    module = problem.module().eval()
    kept = [
        value
        for name, value in module.named_parameters()
        if value.requires_grad and not any(re.search(pattern, name) for pattern in frozen)
    ]
    return module, kept


def _flat(tensors: Sequence[torch.Tensor]) -> np.ndarray:
    return np.concatenate([tensor.detach().numpy().reshape(-1) for tensor in tensors])  # [P]


def gradients(problem: Problem, data: Columns, frozen: Sequence[str] = ()) -> np.ndarray:
    """Compute the gradient of every example's loss, ``[B, P]``, one example at a time."""
    module, kept = _prepared(problem, frozen)
    rows = []
    for example, target in zip(*data, strict=True):
        loss = problem.losses(module(example[None]), target[None])[0]
        rows.append(_flat(torch.autograd.grad(loss, kept)))
    return np.stack(rows)  # [B, P]


@functools.cache
def hessian(problem: Problem, frozen: tuple[str, ...] = ()) -> np.ndarray:
    """Compute the Hessian of the mean training loss, weight decay included: ``[P, P]``."""
    module, kept = _prepared(problem, frozen)
    total: torch.Tensor = sum(
        (
            problem.losses(module(example[None]), target[None])[0]
            for example, target in zip(*problem.train, strict=True)
        ),
        torch.zeros((), dtype=torch.float64),
    )
    total = total / problem.num_train
    total = total + 0.5 * problem.weight_decay * sum(
        (value.square().sum() for value in kept), torch.zeros((), dtype=torch.float64)
    )
    slopes = torch.autograd.grad(total, kept, create_graph=True)
    entries = torch.cat([slope.reshape(-1) for slope in slopes])  # [P]
    rows = [
        _flat(torch.autograd.grad(entry, kept, retain_graph=True, materialize_grads=True))
        for entry in entries
    ]
    matrix = np.stack(rows)  # [P, P]
    symmetric: np.ndarray = (matrix + matrix.T) / 2
    return symmetric


@functools.cache
def gauss_newton(problem: Problem, frozen: tuple[str, ...] = ()) -> np.ndarray:
    """Compute ``1/N Σ Jᵀ (∂²ℓ/∂f²) J``, weight decay included: ``[P, P]``."""
    module, kept = _prepared(problem, frozen)
    size = sum(value.numel() for value in kept)
    total = np.zeros((size, size))  # [P, P]
    for example in problem.train[0]:
        outputs = module(example[None])  # [1, C]
        jacobian = np.stack(
            [_flat(torch.autograd.grad(output, kept, retain_graph=True)) for output in outputs[0]]
        )  # [C, P]
        total += jacobian.T @ problem.output_hessians(outputs.detach())[0].numpy() @ jacobian
    return total / problem.num_train + problem.weight_decay * np.eye(size)


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
    inputs, targets = problem.train

    def query_losses(module: nn.Module) -> np.ndarray:
        module.eval()
        with torch.no_grad():
            losses = problem.losses(module(problem.queries[0]), problem.queries[1])  # [Q]
        return np.asarray(losses.numpy())

    before = query_losses(problem.module())  # [Q]
    columns = []
    for index in range(problem.num_train):
        left = torch.arange(problem.num_train) != index  # [N]
        module = problem.module()
        rest = (inputs[left], targets[left])
        minimize(module, problem.losses, rest, problem.weight_decay, steps=2)
        columns.append(query_losses(module) - before)
    return np.stack(columns, axis=1)  # [Q, N]
