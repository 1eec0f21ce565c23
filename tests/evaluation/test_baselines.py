from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from hessinf.evaluation.attribution import Attribution
from hessinf.evaluation.baselines import NAMES, baseline, is_baseline
from hessinf.evaluation.errors import EvaluationError
from hessinf.evaluation.method_attribution import MethodAttribution
from hessinf.evaluation.problem import Problem
from tests.evaluation.problems import small_network_problem


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return small_network_problem(tmp_path_factory.mktemp("problem"), models=2)


def gradients(problem: Problem, dataset: str) -> np.ndarray:
    """Compute the gradient of each example's loss by itself, ``[n, P]``."""
    module = problem.models[0].module
    rows = []
    for instance in getattr(problem, dataset):
        losses = problem.objective.losses(module(instance.inputs[None]), instance.target[None])
        parts = torch.autograd.grad(losses.sum(), list(module.parameters()))
        rows.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(rows).numpy()


def test_random_scores_are_the_same_at_every_call_and_others_for_each_model(
    problem: Problem,
) -> None:
    rows = [baseline("random", problem) for _ in range(2)]
    first, again = (row.scores() for row in rows)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (12, 80)
    assert abs(np.corrcoef(first.ravel(), rows[0].scores(1).ravel())[0, 1]) < 0.1
    np.testing.assert_array_equal(rows[0].scores_for(problem.models[1]), rows[0].scores(1))
    assert rows[0].self_influence().shape == (80,)
    assert rows[0].loss_changes() is None
    assert first.mean() == pytest.approx(0, abs=0.1)
    assert first.std() == pytest.approx(1, abs=0.1)


def test_gradient_dot_is_the_product_of_gradients(problem: Problem) -> None:
    expected = gradients(problem, "queries") @ gradients(problem, "train").T
    found = baseline("gradient-dot", problem).scores()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_gradient_norm_is_the_squared_norm(problem: Problem) -> None:
    expected = (gradients(problem, "train") ** 2).sum(axis=1)
    found = baseline("gradient-norm", problem).self_influence()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-9)


def test_loss_is_the_training_loss(problem: Problem) -> None:
    module = problem.models[1].module
    inputs = torch.stack([instance.inputs for instance in problem.train])
    expected = problem.objective.losses(module(inputs), problem.train.targets)
    found = baseline("loss", problem).self_influence(1)
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-5)
    assert found.dtype == np.float64


@pytest.mark.parametrize("name", ["loss", "gradient-norm"])
def test_rankings_have_no_scores(problem: Problem, name: str) -> None:
    message = f'"{name}" ranks training examples by themselves, and has no scores for queries'
    with pytest.raises(EvaluationError, match=f"^{message}$"):
        baseline(name, problem).scores()


def test_an_unknown_name(problem: Problem) -> None:
    message = f'there is no baseline "chance"; there are: {", ".join(NAMES)}'
    with pytest.raises(EvaluationError, match=f"^{re.escape(message)}$"):
        baseline("chance", problem)


def test_who_may_carry_the_name_of_a_baseline(problem: Problem) -> None:
    rows: list[tuple[Attribution, bool]] = [(baseline(name, problem), True) for name in NAMES]
    rows += [
        (MethodAttribution("gradient-dot", "gradient-dot", problem), True),
        (MethodAttribution("gradient-dot", "gradient-cosine", problem), False),
        (MethodAttribution("loss", "gradient-dot", problem), False),
    ]
    assert [is_baseline(row) for row, _ in rows] == [expected for _, expected in rows]
