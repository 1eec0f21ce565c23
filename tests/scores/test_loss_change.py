"""Predicted loss changes, against retraining where that is exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hessinf.scores.loss_change import loss_change_if_removed


def test_formulas() -> None:
    scores = torch.tensor([[1.0, 4.0, -2.0]], dtype=torch.float64)
    mean = scores.mean(dim=1, keepdim=True)
    found = loss_change_if_removed(scores, mean, 3, "mean")
    assert found.tolist() == [[0.0, 1.5, -1.5]]
    for reduction in ("sum", "mean-fixed"):
        expected = [[1 / 3, 4 / 3, -2 / 3]]
        assert loss_change_if_removed(scores, mean, 3, reduction).tolist() == expected


def test_kinds_of_numbers() -> None:
    assert loss_change_if_removed(5.0, 1.0, 3, "mean") == 2.0
    found = loss_change_if_removed(np.array([5.0]), np.array([1.0]), 3, "sum")
    assert isinstance(found, np.ndarray)
    assert loss_change_if_removed(5.0, 5.0, 1, "mean") == 0.0


@pytest.mark.parametrize("reduction", ["mean", "sum", "mean-fixed"])
def test_first_order_of_ridge_regression_trained_again(reduction: str) -> None:
    """Removing a small share of an example changes the query's loss by that share of it."""
    random = np.random.default_rng(0)
    count, decay, share = 12, 0.3, 1e-6
    x, y = random.normal(size=(count, 3)), random.normal(size=count)
    query, answer = random.normal(size=3), 0.7

    def train(weights: np.ndarray) -> np.ndarray:
        """Minimise the weighted losses (f − y)²; a mean is divided by the sum of the weights."""
        total = {"mean": weights.sum(), "sum": 1.0, "mean-fixed": float(count)}[reduction]
        penalty = decay * (count if reduction == "sum" else 1.0)
        hessian = 2 * (x.T * weights) @ x / total + penalty * np.eye(3)
        return np.linalg.solve(hessian, 2 * x.T @ (weights * y) / total)

    theta = train(np.ones(count))
    curvature = 2 * x.T @ x / count + decay * np.eye(3)
    gradients = 2 * (x @ theta - y)[:, None] * x
    scores = gradients @ np.linalg.solve(curvature, 2 * (query @ theta - answer) * query)
    predicted = loss_change_if_removed(scores, scores.mean(), count, reduction)
    for index in range(count):
        weights = np.ones(count)
        weights[index] -= share
        change = (query @ train(weights) - answer) ** 2 - (query @ theta - answer) ** 2
        # The weighted mean loses share / (N − share) of an example, removal 1 / (N − 1).
        factor = (count - share) / (count - 1) if reduction == "mean" else 1.0
        assert change / share * factor == pytest.approx(predicted[index], rel=1e-4, abs=1e-8)
