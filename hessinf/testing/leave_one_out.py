"""Linear models on scikit-learn's data, trained again without every example, to the last digit.

Plain numpy: closed forms and Newton's method on the dense Hessian, started from the parameters of
the whole set. Nothing of what predicts these changes takes part in them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn import datasets
from torch import nn

from hessinf.testing.problems import Columns

GRADIENT_NORM = 1e-10
"""How near to its optimum every model is trained."""

NEWTON_STEPS = 100

Derivatives = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Losses ``[N]``, their gradients in the outputs ``[N, C]``, their Hessians ``[N, C, C]``."""

Loss = Callable[[np.ndarray, np.ndarray], Derivatives]
"""From outputs ``[N, C]`` and targets ``[N]``."""


def squared_error(outputs: np.ndarray, targets: np.ndarray) -> Derivatives:
    """Square the differences, without a factor ½."""
    residuals = outputs - targets[:, None]  # [N, 1]
    return residuals[:, 0] ** 2, 2 * residuals, np.full((len(targets), 1, 1), 2.0)


def logistic_loss(outputs: np.ndarray, targets: np.ndarray) -> Derivatives:
    """Compute the binary cross-entropy of logits."""
    logits = outputs[:, 0]  # [N]
    shares = 1 / (1 + np.exp(-logits))  # [N]
    losses = np.logaddexp(0, logits) - targets * logits
    return losses, (shares - targets)[:, None], (shares * (1 - shares))[:, None, None]


def softmax_loss(outputs: np.ndarray, targets: np.ndarray) -> Derivatives:
    """Compute the cross-entropy of logits."""
    shifted = outputs - outputs.max(axis=1, keepdims=True)  # [N, C]
    shares = np.exp(shifted)
    total = shares.sum(axis=1, keepdims=True)
    shares /= total
    rows = np.arange(len(targets))
    losses = np.log(total[:, 0]) - shifted[rows, targets]
    slopes = shares.copy()
    slopes[rows, targets] -= 1
    hessians = np.eye(shares.shape[1]) * shares[:, None] - shares[:, :, None] * shares[:, None, :]
    return losses, slopes, hessians


OBJECTIVES: dict[Loss, str] = {
    squared_error: "mean-squared-error",
    logistic_loss: "binary-cross-entropy",
    softmax_loss: "cross-entropy",
}
"""The registered name of each."""


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """A linear model at its optimum, and what leaving each training example out does.

    Parameters
    ----------
    name
        How tables call it.
    module
        The model: ``nn.Linear``, float64.
    train
        The training data.
    queries
        The test data.
    objective
        The registered name of the training loss.
    weight_decay
        The coefficient of ``½·wd·‖θ‖²`` on the mean loss, bias included.
    true_changes
        What each query's loss gains when the model is trained without an example: ``[Q, N]``. The
        mean is taken over the examples that are left.
    """

    name: str
    module: nn.Module
    train: Columns
    queries: Columns
    objective: str
    weight_decay: float
    true_changes: np.ndarray


def retrained(
    name: str,
    train: tuple[np.ndarray, np.ndarray],
    queries: tuple[np.ndarray, np.ndarray],
    loss: Loss,
    weight_decay: float,
    *,
    bias: bool = True,
) -> LeaveOneOut:
    """Train a linear model on all examples, and again without each of them.

    Parameters
    ----------
    name
        How tables call it.
    train, queries
        Inputs ``[n, F]`` and targets ``[n]``.
    loss
        One of those above.
    weight_decay
        The coefficient of ``½·wd·‖θ‖²``.
    bias
        Whether the model has one; it is penalised as the weights are.
    """
    inputs, targets = train
    columns = _with_ones(inputs) if bias else inputs  # [N, D]
    query_columns = _with_ones(queries[0]) if bias else queries[0]  # [Q, D]
    outputs = int(targets.max()) + 1 if loss is softmax_loss else 1  # C
    whole = _minimize(
        np.zeros((outputs, columns.shape[1])), columns, targets, loss, weight_decay
    )  # [C, D]

    def query_losses(weights: np.ndarray) -> np.ndarray:
        return loss(query_columns @ weights.T, queries[1])[0]  # [Q]

    before = query_losses(whole)
    changes = []
    for left_out in range(len(targets)):
        rest = np.arange(len(targets)) != left_out  # [N]
        weights = _minimize(whole, columns[rest], targets[rest], loss, weight_decay)
        changes.append(query_losses(weights) - before)
    return LeaveOneOut(
        name=name,
        module=_as_module(whole, bias),
        train=(torch.tensor(inputs), torch.tensor(targets)),
        queries=(torch.tensor(queries[0]), torch.tensor(queries[1])),
        objective=OBJECTIVES[loss],
        weight_decay=weight_decay,
        true_changes=np.stack(changes, axis=1),
    )


def _with_ones(inputs: np.ndarray) -> np.ndarray:
    return np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)  # [n, F + 1]


def _minimize(
    weights: np.ndarray, columns: np.ndarray, targets: np.ndarray, loss: Loss, weight_decay: float
) -> np.ndarray:
    """Go to the optimum by Newton's method, halving steps that make the objective larger."""
    count, shape = len(targets), weights.shape
    penalty = weight_decay * np.eye(weights.size)

    def objective(at: np.ndarray) -> float:
        return float(loss(columns @ at.T, targets)[0].mean() + weight_decay / 2 * (at**2).sum())

    for _ in range(NEWTON_STEPS):
        _, slopes, hessians = loss(columns @ weights.T, targets)
        gradient = slopes.T @ columns / count + weight_decay * weights  # [C, D]
        if np.linalg.norm(gradient) < GRADIENT_NORM:
            return weights
        hessian = np.einsum("nab,ni,nj->aibj", hessians, columns, columns, optimize=True) / count
        hessian = hessian.reshape(weights.size, weights.size) + penalty
        step = np.linalg.solve(hessian, gradient.ravel()).reshape(shape)
        length, now = 1.0, objective(weights)
        while length > 1e-3 and objective(weights - length * step) > now + 1e-12 * abs(now):
            length /= 2
        weights = weights - length * step
    raise RuntimeError(f"no optimum after {NEWTON_STEPS} Newton steps")


def _as_module(weights: np.ndarray, bias: bool) -> nn.Module:
    features = weights.shape[1] - bias
    module: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Linear, features, len(weights), bias=bias, dtype=torch.float64
    )
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weights[:, :features]))
        if bias:
            module.bias.copy_(torch.tensor(weights[:, features]))
    return module


def _split(
    table: tuple[np.ndarray, np.ndarray], train_size: int, seed: int
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Draw training examples and queries; standardize features by the training examples."""
    inputs, targets = table
    order = np.random.RandomState(seed).permutation(len(targets))
    train, rest = order[:train_size], order[train_size:]
    inputs = (inputs - inputs[train].mean(axis=0)) / inputs[train].std(axis=0)
    return (inputs[train], targets[train]), (inputs[rest], targets[rest])


def ridge_on_diabetes(
    weight_decay: float = 0.1, *, train_size: int = 300, seed: int = 0, bias: bool = True
) -> LeaveOneOut:
    """Retrain ridge regression on diabetes; targets are standardized too."""
    inputs, targets = datasets.load_diabetes(return_X_y=True)
    train, queries = _split((inputs, targets), train_size, seed)
    mean, spread = train[1].mean(), train[1].std()
    return retrained(
        "ridge, diabetes",
        (train[0], (train[1] - mean) / spread),
        (queries[0], (queries[1] - mean) / spread),
        squared_error,
        weight_decay,
        bias=bias,
    )


def logistic_on_breast_cancer(
    weight_decay: float, *, train_size: int = 300, seed: int = 0, bias: bool = True
) -> LeaveOneOut:
    """Retrain logistic regression with one output on breast-cancer."""
    table = datasets.load_breast_cancer(return_X_y=True)
    train, queries = _split(table, train_size, seed)
    name = "logistic, breast-cancer"
    return retrained(name, train, queries, logistic_loss, weight_decay, bias=bias)


def softmax_on_wine(
    weight_decay: float = 0.02, *, train_size: int = 110, seed: int = 0, bias: bool = True
) -> LeaveOneOut:
    """Retrain softmax regression with three outputs on wine."""
    table = datasets.load_wine(return_X_y=True)
    train, queries = _split(table, train_size, seed)
    return retrained("softmax, wine", train, queries, softmax_loss, weight_decay, bias=bias)


@dataclass(frozen=True)
class Line:
    """How true changes lie over predicted ones, all queries and training examples pooled.

    Parameters
    ----------
    pearson
        Their correlation.
    slope, intercept
        Of the least-squares line ``true = slope · predicted + intercept``.
    determination
        R²: the share of the true changes' variance that the predictions themselves explain.
    """

    pearson: float
    slope: float
    intercept: float
    determination: float


def line_through(predicted: np.ndarray, true: np.ndarray) -> Line:
    """Fit a line to predicted and true changes of the same shape."""
    x, y = predicted.ravel().astype(np.float64), true.ravel()
    slope, intercept = np.polyfit(x, y, 1)
    return Line(
        pearson=float(np.corrcoef(x, y)[0, 1]),
        slope=float(slope),
        intercept=float(intercept),
        determination=float(1 - ((y - x) ** 2).sum() / ((y - y.mean()) ** 2).sum()),
    )
