"""The refined loss change by dense matrices, one explicit solve for each training example."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from hessinf.testing import references
from hessinf.testing.problem import Problem, outputs_of


def losses_after(problem: Problem, step: np.ndarray) -> np.ndarray:
    """Compute the queries' losses ``[Q]`` where θ has made a step ``[P]``."""
    module = problem.module().eval()
    start = 0
    with torch.no_grad():
        for value in module.parameters():
            if value.requires_grad:
                part = torch.tensor(step[start : start + value.numel()])
                value.add_(part.reshape(value.shape))
                start += value.numel()
        assert start == len(step)
        losses = problem.losses(outputs_of(module, problem.queries[0]), problem.queries[1])
    return np.asarray(losses.numpy())


def refined_loss_changes(
    problem: Problem,
    curvatures: Sequence[np.ndarray],
    damping: float,
    reduction: str = "mean",
) -> np.ndarray:
    """Take a Newton step without each example, and see what the queries' losses gain.

    Parameters
    ----------
    problem
        Model and data.
    curvatures
        For each training example that of the mean loss of the others, ``[P, P]``, without weight
        decay.
    damping
        λ.
    reduction
        "mean", which is renormalised, or another, which keeps 1/N.

    Returns
    -------
    numpy.ndarray
        ``[Q, N]``.
    """
    gradients = references.gradients(problem, problem.train)  # [N, P]
    count, size = gradients.shape
    ridge = (problem.weight_decay + damping) * np.eye(size)
    before = losses_after(problem, np.zeros(size))  # [Q]
    columns = []
    for gradient, of_others in zip(gradients, curvatures, strict=True):
        if reduction == "mean":
            left, slope = of_others, (gradient - gradients.mean(axis=0)) / (count - 1)
        else:
            left, slope = (1 - 1 / count) * of_others, gradient / count
        step = np.linalg.solve(left + ridge, slope)  # [P]
        columns.append(losses_after(problem, step) - before)
    return np.stack(columns, axis=1)


def without_each(
    problem: Problem, curvature: np.ndarray, blocks: Sequence[np.ndarray] | None = None
) -> list[np.ndarray]:
    """Take each example's own Gauss-Newton matrix out of the curvature.

    Parameters
    ----------
    problem
        Model and data.
    curvature
        ``[P, P]``, of the mean loss, weight decay included.
    blocks
        Indices: what lies between blocks is left out.

    Returns
    -------
    list of numpy.ndarray
        For each training example the curvature of the mean loss of the others, ``[P, P]``, without
        weight decay.
    """
    count = problem.num_train
    total = curvature - problem.weight_decay * np.eye(len(curvature))
    found = [
        (count * total - references.example_gauss_newton(problem, index)) / (count - 1)
        for index in range(count)
    ]
    return found if blocks is None else [references.block_diagonal(one, blocks) for one in found]
