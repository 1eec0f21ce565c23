from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.curvature import CurvatureError
from hessinf.interpreters import Diagonal, InfluenceInterpreter
from hessinf.testing import Problem, references
from hessinf.testing.layer_problems import texts, volumes
from hessinf.testing.problems import (
    convolutional_network,
    language_model,
    multilayer_perceptron,
    transformer,
)


def make(problem: Problem, **arguments: Any) -> Any:
    given = {
        "objective": problem.objective,
        "weight_decay": problem.weight_decay,
        "fisher": "type-2",
        "damping": 1e-3,
        **arguments,
    }
    return Diagonal(problem.module(), problem.train, **given)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("damping", [1e-6, 1e-3, 1e-1])
@pytest.mark.parametrize(
    "make_problem", [convolutional_network, transformer, language_model, texts, volumes]
)
def test_scores_are_those_of_the_dense_diagonal(make_problem: Any, damping: float) -> None:
    problem = make_problem()
    diagonal = np.diag(np.diag(references.gauss_newton(problem)))
    expected = references.damped_scores(problem, diagonal, damping)
    assert relative_error(make(problem, damping=damping).scores(problem.queries), expected) <= 1e-10


def test_the_empirical_diagonal_is_the_mean_square_of_gradients() -> None:
    problem = multilayer_perceptron()

    def my_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(outputs, targets, reduction="none")

    gradients = references.gradients(problem, problem.train)
    diagonal = np.diag((gradients**2).mean(axis=0) + problem.weight_decay)
    expected = references.damped_scores(problem, diagonal, 1e-3)
    for objective in (my_loss, "cross-entropy"):
        interpreter = make(problem, fisher="empirical", objective=objective)
        assert relative_error(interpreter.scores(problem.queries), expected) <= 1e-10
        assert next(interpreter.interpret(problem.queries)).diagnostics["fisher"] == "empirical"


class TestDamping:
    def test_relative_damping_is_that_of_the_whole_matrix(self) -> None:
        problem = transformer()
        curvature = references.gauss_newton(problem)
        interpreter = make(problem, damping={"relative": 0.1}).fit()
        expected = 0.1 * np.trace(curvature) / len(curvature)
        assert interpreter.damping_ == pytest.approx(expected, rel=1e-10)

    @pytest.mark.parametrize("damping", [1e-4, {"relative": 0.3}])
    def test_another_damping_is_that_of_another_interpreter(
        self, damping: Any, tmp_path: Path
    ) -> None:
        problem = multilayer_perceptron()
        interpreter = make(problem, damping=0.7).fit()
        interpreter.save(tmp_path / "factors")
        loaded = InfluenceInterpreter.load(tmp_path / "factors", problem.module(), problem.train)
        expected = make(problem, damping=damping).scores(problem.queries)
        for one in (interpreter, loaded):
            one.change_damping(damping)
            assert one.scores(problem.queries).tobytes() == expected.tobytes()

    def test_zeros_are_refused(self) -> None:
        inputs = torch.zeros(6, 2)
        inputs[:, 0] = torch.arange(6)
        interpreter = Diagonal(
            nn.Linear(2, 2), (inputs, torch.tensor([0, 1, 0, 1, 0, 1])), damping=0.0
        )
        message = (
            "the curvature of weight has zeros at damping 0: no training example has a gradient "
            "there; raise damping, or freeze it with params_to_freeze"
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(message)}$"):
            interpreter.scores((inputs, torch.tensor([0, 1, 0, 1, 0, 1])))


def test_inner_products_of_embeddings_are_the_scores() -> None:
    problem = transformer()
    interpreter = make(problem).fit()
    with interpreter.model.evaluating():
        batch = next(iter(interpreter.train_batches(problem.num_train)))
        vectors = interpreter.embedding(interpreter.gradients(batch)).numpy()
    expected = interpreter.scores(problem.instances(problem.train))
    assert relative_error(vectors @ vectors.T, expected) <= 1e-10


def test_what_was_sampled_is_reported() -> None:
    problem = multilayer_perceptron()
    interpreter = make(problem, fisher="monte-carlo", samples=5)
    diagnostics = next(interpreter.interpret(problem.queries)).diagnostics
    assert (diagnostics["fisher"], diagnostics["fisher_samples"]) == ("monte-carlo", 5)
    assert 0.01 < diagnostics["fisher_relative_standard_error"] < 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"fisher": "type2"},
            "fisher must be one of ('auto', 'type-2', 'monte-carlo', 'empirical'), found 'type2'",
        ),
        ({"samples": 0}, "samples must be at least 1, found 0"),
        ({"damping": -1.0}, 'damping must be a number >= 0 or {"relative": share}, found -1.0'),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make(multilayer_perceptron(), **arguments)
