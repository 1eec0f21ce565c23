"""Vectors whose inner products are the scores."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from hessinf.gradients import Gradients
from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.testing import logistic_regression, multilayer_perceptron
from hessinf.testing.problems import Problem


def make(problem: Problem, cls: Any, **arguments: Any) -> Any:
    given = {"objective": problem.objective, "weight_decay": problem.weight_decay, **arguments}
    return cls(problem.module(), problem.train, **given)


def embedding_methods() -> list[str]:
    return [
        name
        for name in InfluenceInterpreter.list_available()
        if InfluenceInterpreter.by_name(name).__module__.startswith("hessinf.")
        and InfluenceInterpreter.by_name(name).embedding is not InfluenceInterpreter.embedding
        and name != "tracin"
    ]


@pytest.mark.parametrize("name", embedding_methods())
@pytest.mark.parametrize("measurement", ["loss", "margin"])
def test_inner_products_are_scores(name: str, measurement: str) -> None:
    problem = logistic_regression()
    method = InfluenceInterpreter.by_name(name)
    interpreter = make(problem, method, measurement=measurement, batch_size=7)
    scores = interpreter.scores(problem.queries)
    queries = interpreter.embed(problem.queries, as_queries=True)
    train = interpreter.embed(problem.train)
    np.testing.assert_allclose(queries @ train.T, scores, rtol=1e-8, atol=1e-10)
    if measurement == "loss":
        np.testing.assert_allclose(interpreter.embed(problem.queries), queries, rtol=1e-10)


def test_some_methods_can() -> None:
    assert {"exact", "gradient-dot", "gradient-cosine"} <= set(embedding_methods())


def test_methods_that_cannot_say_which_can() -> None:
    problem = logistic_regression()
    interpreter = make(problem, InfluenceInterpreter.by_name("simple-influence"))
    message = (
        r"^simple-influence has no vectors whose inner products are its scores; methods that can: "
        r".*\bgradient-dot\b"
    )
    with pytest.raises(InterpreterError, match=message):
        interpreter.embed(problem.train)
    assert not interpreter.fitted, "found out before a long fit"


class Broken(InfluenceInterpreter):
    def precondition(self, gradients: Gradients) -> Gradients:
        return gradients

    def embedding(self, gradients: Gradients) -> torch.Tensor:
        flat = gradients.flatten().clone()
        flat[-1, 0] = float("inf")
        return flat


def test_vectors_that_are_not_finite_are_refused() -> None:
    message = (
        "the embedding of example 6 is not finite; is damping too small, or the curvature singular?"
    )
    problem = multilayer_perceptron()
    with pytest.raises(InterpreterError, match=f"^{re.escape(message)}$"):
        make(problem, Broken, batch_size=7).embed(problem.train)


def test_vectors_of_the_wrong_shape_are_refused() -> None:
    class Turned(Broken):
        def embedding(self, gradients: Gradients) -> torch.Tensor:
            return gradients.flatten().T

    message = "Turned.embedding() returned shape [12, 6], expected a row for each of 6 examples"
    with pytest.raises(InterpreterError, match=f"^{re.escape(message)}$"):
        make(logistic_regression(), Turned).embed(logistic_regression().queries)


def test_more_than_memory_holds() -> None:
    message = (
        "the embedding of 41 examples, 12 numbers each, takes 0.0 GiB, and memory_limit is 3e-06 "
        "GiB; embed fewer examples at once, raise memory_limit, or use a method of low rank"
    )
    interpreter = make(
        logistic_regression(), InfluenceInterpreter.by_name("gradient-dot"), memory_limit=3e-6
    )
    with pytest.raises(InterpreterError, match=f"^{re.escape(message)}$"):
        interpreter.embed(logistic_regression().train)
    assert interpreter.embed(logistic_regression().queries).shape == (6, 12)
