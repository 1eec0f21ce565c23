"""Cosines of gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.gradients import Gradients
from hessinf.interpreters import GradientCosine, InterpreterError
from hessinf.scores.cosines import directions
from hessinf.testing import multilayer_perceptron, references


def test_scores_are_cosines() -> None:
    problem = multilayer_perceptron()
    interpreter = GradientCosine(problem.module(), problem.train, batch_size=5)
    queries = references.gradients(problem, problem.queries)
    train = references.gradients(problem, problem.train)
    sizes = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(train, axis=1)
    np.testing.assert_allclose(interpreter.scores(problem.queries), queries @ train.T / sizes)
    np.testing.assert_allclose(interpreter.self_influence(), 1.0, rtol=1e-12)
    with pytest.raises(InterpreterError, match="found gradient-cosine with the measurement loss"):
        interpreter.loss_changes(problem.queries)


class Relu(nn.Module):
    """Dead for negative inputs: their gradient is exactly zero."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([[1.0, -0.5]], dtype=torch.float64))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (inputs.relu() * self.slope).sum(dim=1, keepdim=True)


def test_examples_without_a_gradient_score_zero() -> None:
    inputs = torch.tensor([[1.0, 2.0], [-1.0, -2.0], [3.0, -1.0]], dtype=torch.float64)
    targets = torch.tensor([[5.0], [1.0], [2.0]], dtype=torch.float64)
    interpreter = GradientCosine(Relu(), (inputs, targets), objective="mean-squared-error")
    scores = interpreter.scores((inputs, targets))
    assert np.isfinite(scores).all()
    assert not scores[1].any()
    assert not scores[:, 1].any()
    assert interpreter.self_influence().tolist() == pytest.approx([1, 0, 1])
    assert next(interpreter.interpret((inputs[1:2], targets[1:2]), 3)).helpful[0].score == 0
    assert not interpreter.embed((inputs, targets))[1].any()


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_tiny_and_huge_gradients_keep_their_direction(size: float) -> None:
    """In float32, where their squares are zero or infinite."""
    flat = torch.tensor([[3.0, 4.0], [-4.0, 3.0], [0.0, 0.0]]) * size
    found = directions(Gradients({"weight": flat}))
    expected = torch.tensor([[0.6, 0.8], [-0.8, 0.6], [0.0, 0.0]])
    torch.testing.assert_close(found, expected)
