"""Groups of training examples beside sums of single scores, and beside training without them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hessinf.errors import HessinfError
from hessinf.gradients import Gradients
from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.testing import logistic_regression, multilayer_perceptron, references, ridge_regression
from hessinf.testing.problems import Problem, minimize


def make(problem: Problem, name: str = "exact", **arguments: Any) -> InfluenceInterpreter:
    method = InfluenceInterpreter.by_name(name)
    if name == "exact":
        arguments.setdefault("damping", 1e-9)
    made: InfluenceInterpreter = method(
        problem.module(),
        problem.train,
        objective=problem.objective,
        weight_decay=problem.weight_decay,
        **arguments,
    )
    return made


def query_losses(problem: Problem, module: torch.nn.Module) -> np.ndarray:
    module.eval()
    with torch.no_grad():
        losses = problem.losses(module(problem.queries[0]), problem.queries[1])
    return np.asarray(losses.numpy())  # [Q]


def retrained(problem: Problem, weights: torch.Tensor) -> np.ndarray:
    """Train anew with weights on the training losses, their sum renormalised: losses ``[Q]``."""
    module = problem.module()
    kept = weights != 0

    def losses(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        share = weights[kept] / weights[kept].mean()
        return share * problem.losses(outputs, targets)

    minimize(
        module, losses, (problem.train[0][kept], problem.train[1][kept]), problem.weight_decay, 3
    )
    return query_losses(problem, module)


@pytest.mark.parametrize("batch_size", [1, 5, "auto"])
@pytest.mark.parametrize("name", ["exact", "gradient-dot", "gradient-cosine"])
def test_scores_are_sums_over_members(name: str, batch_size: Any) -> None:
    problem = multilayer_perceptron()
    interpreter = make(problem, name, batch_size=batch_size, query_batch_size=2)
    scores = interpreter.scores(problem.queries)  # [Q, N]
    given = {"one": [11], "some": [36, 0, 5, 4, 12], "others": list(range(4, 30))}
    found = interpreter.group_influence(problem.queries, given)
    assert found.names == ("one", "some", "others")
    assert found.sizes.tolist() == [1, 5, 26]
    for column, members in enumerate(given.values()):
        expected = scores[:, members].sum(axis=1)
        np.testing.assert_allclose(found.scores[:, column], expected, rtol=1e-12, atol=1e-15)


def test_the_sum_of_all_labels_is_the_sum_of_all_scores() -> None:
    problem = multilayer_perceptron()
    interpreter = make(problem)
    found = interpreter.group_influence(problem.queries, "label")
    assert found.sizes.tolist() == np.bincount(problem.train[1].numpy()).tolist()
    total = interpreter.scores(problem.queries).sum(axis=1)
    np.testing.assert_allclose(found.scores.sum(axis=1), total, rtol=1e-10)


def test_a_group_of_one_changes_losses_as_its_member_does() -> None:
    problem = ridge_regression()
    interpreter = make(problem)
    found = interpreter.group_influence(problem.queries, [[3], [119]])
    single = interpreter.loss_changes(problem.queries)[:, [3, 119]]
    np.testing.assert_allclose(found.loss_changes, single, rtol=1e-9)


@pytest.mark.parametrize("reduction", ["mean", "sum", "mean-fixed"])
def test_the_formula_of_loss_changes(reduction: str) -> None:
    problem = ridge_regression()
    interpreter = make(problem, training_reduction=reduction)
    scores = interpreter.scores(problem.queries)
    members = [0, 7, 9, 100]
    found = interpreter.group_influence(problem.queries, {"g": members})
    expected = scores[:, members].sum(axis=1) / 120
    if reduction == "mean":
        expected = (scores[:, members].sum(axis=1) - 4 * scores.mean(axis=1)) / (120 - 4)
    assert found.loss_changes is not None
    np.testing.assert_allclose(found.loss_changes[:, 0], expected, rtol=1e-10)


@pytest.mark.parametrize("make_problem", [logistic_regression, ridge_regression])
def test_weighing_a_group_less_changes_losses_as_predicted(make_problem: Any) -> None:
    """Exact, up to the square of the weight: training again with a little less of each member."""
    problem = make_problem()
    count = problem.num_train
    members = list(range(1, count, 9))
    interpreter = make(problem)
    found = interpreter.group_influence(problem.queries, [members])
    assert found.loss_changes is not None
    step = 1e-2
    weights = torch.ones(2, count, dtype=torch.float64)
    weights[0, members] += step
    weights[1, members] -= step
    slope = (retrained(problem, weights[1]) - retrained(problem, weights[0])) / (2 * step)  # [Q]
    # What is removed wholly is divided by the examples that are left, what is removed in part by
    # nearly all.
    predicted = found.loss_changes[:, 0] * (count - len(members)) / count
    np.testing.assert_allclose(predicted, slope, rtol=0, atol=5e-5 * np.abs(slope).max())


@pytest.mark.parametrize("make_problem", [logistic_regression, ridge_regression])
def test_training_without_whole_groups(make_problem: Any) -> None:
    """Eight groups of five, each left out: first order, in sign and in scale."""
    problem = make_problem()
    groups = [list(range(first, first + 5)) for first in range(0, 40, 5)]
    found = make(problem).group_influence(problem.queries, groups)
    before = query_losses(problem, problem.module())
    columns = []
    for members in groups:
        weights = torch.ones(problem.num_train, dtype=torch.float64)
        weights[members] = 0
        columns.append(retrained(problem, weights) - before)
    true = np.stack(columns, axis=1)  # [Q, G]
    assert found.loss_changes is not None
    correlation = np.corrcoef(true.ravel(), found.loss_changes.ravel())[0, 1]
    slope = np.polyfit(found.loss_changes.ravel(), true.ravel(), 1)[0]
    small = problem.num_train == 41  # an eighth of the data is left out: far for a first order
    assert correlation > (0.97 if small else 0.99), correlation
    assert abs(slope - 1) < (0.35 if small else 0.1), slope


def test_no_loss_changes_where_scores_only_rank() -> None:
    problem = logistic_regression()
    assert (
        make(problem, "gradient-dot").group_influence(problem.queries, "label").loss_changes is None
    )
    margins = make(problem, measurement="margin").group_influence(problem.queries, "label")
    assert margins.loss_changes is None
    losses = make(problem).group_influence(problem.queries, "label")
    assert (np.sign(margins.scores) == np.sign(losses.scores)).mean() > 0.9, "positive = helpful"


def test_the_matrix_of_all_scores_is_never_there() -> None:
    problem = multilayer_perceptron()
    interpreter = make(problem, batch_size=6).fit()
    shapes = set()

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                shapes.add(tuple(result.shape))
            return result

    with Watching():
        interpreter.group_influence(problem.queries, "label")
    assert (5, 6) in shapes, "scores come batch by batch"
    assert (5, 37) not in shapes


def test_everything_is_no_group_to_be_removed() -> None:
    problem = logistic_regression()
    message = (
        'group "all" holds all 41 training examples: without it, there would be nothing to train on'
    )
    with pytest.raises(InterpreterError, match=f"^{re.escape(message)}$"):
        make(problem).group_influence(problem.queries, {"all": range(41)})


def test_scores_that_are_not_finite_are_named() -> None:
    class Broken(InfluenceInterpreter):
        def score(self, query_gradients: Gradients, train_gradients: Gradients) -> torch.Tensor:
            scores = query_gradients.dot(train_gradients)
            scores[1, 3] = float("nan")
            return scores

    problem = logistic_regression()
    with pytest.raises(HessinfError, match="score of training example 3 for query 1"):
        Broken(problem.module(), problem.train).group_influence(problem.queries, "label")


def test_precision_is_the_models() -> None:
    problem = logistic_regression()
    single = problem.module().float()
    found = InfluenceInterpreter.by_name("exact")(single, problem.train).group_influence(
        problem.queries, "label"
    )
    assert found.scores.dtype == np.float32
    assert found.loss_changes is not None
    assert found.loss_changes.dtype == np.float32
    half = problem.module().to(torch.bfloat16)
    found = InfluenceInterpreter.by_name("gradient-dot")(half, problem.train).group_influence(
        problem.queries, "label"
    )
    assert found.scores.dtype == np.float32


def test_dense_reference() -> None:
    problem = logistic_regression()
    expected = references.damped_scores(problem, references.hessian(problem), 1e-5)
    labels = problem.train[1].numpy()
    of_labels = np.stack([expected[:, labels == label].sum(axis=1) for label in range(3)], axis=1)
    found = make(problem, damping=1e-5).group_influence(problem.queries, "label")
    np.testing.assert_allclose(found.scores, of_labels, rtol=1e-9)
