"""Inner products of gradients."""

from __future__ import annotations

import numpy as np
import pytest

from hessinf.interpreters import GradientDot, InterpreterError
from hessinf.testing import multilayer_perceptron, references


def test_scores_are_inner_products() -> None:
    problem = multilayer_perceptron()
    found = GradientDot(problem.module(), problem.train, batch_size=5).scores(problem.queries)
    queries = references.gradients(problem, problem.queries)
    expected = queries @ references.gradients(problem, problem.train).T
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14)


def test_no_loss_changes_are_predicted() -> None:
    problem = multilayer_perceptron()
    interpreter = GradientDot(problem.module(), problem.train)
    with pytest.raises(InterpreterError, match="found gradient-dot with the measurement loss"):
        interpreter.loss_changes(problem.queries)
    result = next(interpreter.interpret(problem.queries, 1))
    assert result.helpful[0].loss_change_if_removed is None
