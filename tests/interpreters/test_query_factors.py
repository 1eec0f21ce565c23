"""Influence factors of queries, saved and used for other training sets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from hessinf.data import DataError
from hessinf.errors import HessinfError
from hessinf.gradients import Gradients
from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.interpreters.query_factors import InfluenceFactors
from hessinf.testing import logistic_regression, multilayer_perceptron, references
from hessinf.testing.problems import Problem


def make(problem: Problem, name: str = "exact", **arguments: Any) -> InfluenceInterpreter:
    given = {"objective": problem.objective, "weight_decay": problem.weight_decay, **arguments}
    made: InfluenceInterpreter = InfluenceInterpreter.by_name(name)(
        problem.module(), problem.train, **given
    )
    return made


def others(problem: Problem, count: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    """Other training examples."""
    inputs, targets = problem.train
    return inputs[:count] * 0.7 + 0.1, targets[:count].flip(0)


def refused(message: str) -> Any:
    return pytest.raises(InterpreterError, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize("make_problem", [logistic_regression, multilayer_perceptron])
def test_other_training_sets(make_problem: Any) -> None:
    """The curvature of the one set, the gradients of the other: by dense matrices."""
    problem = make_problem()
    factors = make(problem, damping=1e-5, query_batch_size=2).influence_factors(problem.queries)
    damped = references.hessian(problem)
    damped = damped + 1e-5 * np.eye(len(damped))
    queries = references.gradients(problem, problem.queries)
    train = references.gradients(problem, others(problem))
    expected = queries @ np.linalg.solve(damped, train.T)
    found = factors.scores(others(problem))
    assert found.shape == expected.shape
    assert np.linalg.norm(found - expected) <= 1e-8 * np.linalg.norm(expected)
    assert len(factors) == len(queries)
    assert factors.query_ids == tuple(str(place) for place in range(len(queries)))


@pytest.mark.parametrize("name", ["exact", "simple-influence", "gradient-dot"])
def test_the_interpreters_own_training_set(name: str) -> None:
    problem = multilayer_perceptron()
    interpreter = make(problem, name)
    factors = interpreter.influence_factors(problem.queries)
    scores = interpreter.scores(problem.queries)
    np.testing.assert_allclose(factors.scores(problem.train), scores, rtol=1e-10, atol=1e-14)


def test_saved_factors_give_the_same_bytes(tmp_path: Path) -> None:
    problem = multilayer_perceptron()
    interpreter = make(problem, params_to_freeze=["0.bias"], measurement="margin", batch_size=4)
    factors = interpreter.influence_factors(problem.queries)
    factors.save(tmp_path / "factors")
    loaded = InfluenceFactors.load(tmp_path / "factors", problem.module(), batch_size=4)
    assert loaded.scores(others(problem)).tobytes() == factors.scores(others(problem)).tobytes()
    assert loaded.query_ids == factors.query_ids
    assert loaded.facts == json.loads(json.dumps(factors.facts))
    assert loaded.facts["measurement"] == {"type": "margin"}
    assert loaded.facts["interpreter"] == "exact"


def test_precision_is_kept(tmp_path: Path) -> None:
    problem = logistic_regression()
    single = problem.module().float()
    interpreter = InfluenceInterpreter.by_name("exact")(single, problem.train, dtype="float64")
    factors = interpreter.influence_factors(problem.queries)
    factors.save(tmp_path / "factors")
    loaded = InfluenceFactors.load(tmp_path / "factors", problem.module().float())
    assert loaded.scores(problem.train).dtype == np.float64
    np.testing.assert_array_equal(loaded.scores(problem.train), factors.scores(problem.train))


def test_another_model_is_refused(tmp_path: Path) -> None:
    problem = logistic_regression()
    make(problem).influence_factors(problem.queries).save(tmp_path / "factors")
    other = problem.module()
    with torch.no_grad():
        next(other.parameters())[0, 0] += 1e-9
    with pytest.raises(
        InterpreterError,
        match=rf"^the influence factors in {re.escape(str(tmp_path))}/factors belong to another "
        r'model:\n  model: saved "[0-9a-f]{64}", now "[0-9a-f]{64}"$',
    ):
        InfluenceFactors.load(tmp_path / "factors", other)
    frozen = problem.module()
    frozen.get_parameter("0.bias").requires_grad_(False)
    with pytest.raises(InterpreterError, match="belong to another model"):
        InfluenceFactors.load(tmp_path / "factors", frozen)


def test_folders_of_something_else(tmp_path: Path) -> None:
    problem = logistic_regression()
    message = f"{tmp_path} holds no saved influence factors: there is no influence_factors.json"
    with refused(message):
        InfluenceFactors.load(tmp_path, problem.module())
    make(problem).fit().save(tmp_path / "state")
    with pytest.raises(InterpreterError, match=r"there is no influence_factors\.json$"):
        InfluenceFactors.load(tmp_path / "state", problem.module())
    make(problem).influence_factors(problem.queries).save(tmp_path / "factors")
    with pytest.raises(InterpreterError, match=r"there is no interpreter\.json$"):
        InfluenceInterpreter.load(tmp_path / "factors", problem.module(), problem.train)
    file = tmp_path / "factors" / "factors.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InterpreterError, match=r"cannot read .*; remove .* and compute them again"):
        InfluenceFactors.load(tmp_path / "factors", problem.module())


def my_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(outputs, targets, reduction="none")


def test_loss_functions_have_to_be_given_again(tmp_path: Path) -> None:
    problem = logistic_regression()
    factors = make(problem, objective=my_loss).influence_factors(problem.queries)
    folder = tmp_path / "factors"
    factors.save(folder)
    with refused(
        f'the factors in {folder} belong to function the loss function "my_loss"; pass it: '
        "load(..., objective=...)"
    ):
        InfluenceFactors.load(folder, problem.module())
    loaded = InfluenceFactors.load(folder, problem.module(), objective=my_loss)
    np.testing.assert_array_equal(loaded.scores(problem.train), factors.scores(problem.train))


def test_rules_of_their_own_have_no_factors() -> None:
    problem = logistic_regression()
    interpreter = make(problem, "gradient-cosine")
    with refused(
        "influence factors: the scores of gradient-cosine come from a rule of its own, and are no "
        "inner products of influence factors with training gradients; use a method with "
        "precondition() and without score()"
    ):
        interpreter.influence_factors(problem.queries)
    assert not interpreter.fitted, "found out before a long fit"


def test_an_inner_product_that_is_computed_otherwise() -> None:
    class Projected(InfluenceInterpreter):
        scores_are_inner_products = True

        def precondition(self, gradients: Gradients) -> Gradients:
            return gradients * 2.0

        def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
            return query_gradients.flatten() @ train_gradients.flatten().T

    problem = logistic_regression()
    interpreter = Projected(problem.module(), problem.train)
    factors = interpreter.influence_factors(problem.queries)
    np.testing.assert_allclose(
        factors.scores(problem.train), interpreter.scores(problem.queries), rtol=1e-12
    )


def test_examples_that_do_not_fit_are_refused() -> None:
    problem = logistic_regression()
    factors = make(problem).influence_factors(problem.queries)
    inputs = problem.train[0][:2]
    with pytest.raises(HessinfError, match=r"example 1 \(id \"1\"\)"):
        factors.scores((inputs, torch.tensor([0, 7])))
    with pytest.raises(DataError, match="example 0"):
        factors.scores((inputs * float("nan"), torch.tensor([0, 1])))
    # One class is enough: nothing is trained on these.
    assert factors.scores((inputs, torch.tensor([1, 1]))).shape == (6, 2)
