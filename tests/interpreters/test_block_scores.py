"""Scores split by block of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.testing import multilayer_perceptron, references
from hessinf.testing.problems import Problem


def make(problem: Problem, name: str = "exact", **arguments: Any) -> InfluenceInterpreter:
    given = {"objective": problem.objective, "weight_decay": problem.weight_decay, **arguments}
    made: InfluenceInterpreter = InfluenceInterpreter.by_name(name)(
        problem.module(), problem.train, **given
    )
    return made


@pytest.mark.parametrize("name", ["exact", "gradient-dot", "simple-influence"])
def test_blocks_add_up_to_the_scores(name: str) -> None:
    problem = multilayer_perceptron()
    interpreter = make(problem, name, query_batch_size=2, batch_size=5)
    scores = interpreter.scores(problem.queries)
    found = interpreter.scores_by_block(problem.queries)
    assert list(found) == ["0", "4"]
    np.testing.assert_allclose(sum(found.values()), scores, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("blocks", "columns"),
    [
        ("layer", {"0": slice(0, 25), "4": slice(25, 40)}),
        (
            "parameter",
            {"0.weight": slice(0, 20), "0.bias": slice(20, 25), "4.weight": slice(25, 40)},
        ),
        (
            {"weights": ["weight$"], "biases": ["bias$"]},
            {"weights": [*range(20), *range(25, 40)], "biases": slice(20, 25)},
        ),
    ],
)
def test_the_dense_reference(blocks: Any, columns: dict[str, Any]) -> None:
    """Factors with the whole inverse, products over the columns of the block only."""
    problem = multilayer_perceptron()
    damped = references.hessian(problem) + 1e-5 * np.eye(40)
    factors = np.linalg.solve(damped, references.gradients(problem, problem.queries).T).T  # [Q, P]
    train = references.gradients(problem, problem.train)  # [N, P]
    found = make(problem, damping=1e-5).scores_by_block(problem.queries, blocks)
    assert found.keys() == columns.keys()
    for name, places in columns.items():
        expected = factors[:, places] @ train[:, places].T
        error = np.linalg.norm(found[name] - expected) / np.linalg.norm(expected)
        assert error <= 1e-8, (name, error)


def test_blocks_that_are_none() -> None:
    problem = multilayer_perceptron()
    with pytest.raises(ValueError, match=r"blocks leave out 4\.weight"):
        make(problem).scores_by_block(problem.queries, {"first": ["^0"]})


def test_rules_of_their_own_have_no_blocks() -> None:
    problem = multilayer_perceptron()
    interpreter = make(problem, "gradient-cosine")
    with pytest.raises(InterpreterError, match=r"^scores by block: the scores of gradient-cosine"):
        interpreter.scores_by_block(problem.queries)
    assert not interpreter.fitted
