"""``compatibility: "allennlp"`` beside AllenNLP's formula, written down anew."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from hessinf.interpreters import SimpleInfluence
from hessinf.registry import ConfigError
from hessinf.solvers import DivergenceError
from hessinf.testing import Problem, logistic_regression, multilayer_perceptron, references


def restated(
    problem: Problem,
    interpreter: SimpleInfluence,
    *,
    steps: int,
    damping: float,
    scale: float,
    num_samples: int,
) -> np.ndarray:
    """AllenNLP's scores: ``cur ← v + (1 − damping)·cur − H_t cur / scale``, then ``cur / scale``.

    One query after another; Hessian-vector products of the mini-batch's mean loss by double
    backward; mini-batches in the interpreter's order.
    """
    module = problem.module().eval()
    parameters = [value for value in module.parameters() if value.requires_grad]
    train = references.gradients(problem, problem.train)  # [N, P]
    rows = []
    for query in torch.from_numpy(references.gradients(problem, problem.queries)):
        total = torch.zeros_like(query)  # [P]
        for sample in range(num_samples):
            batches = interpreter._lissa_batches(str(sample))
            current = query
            for _ in range(steps):
                places = next(batches).indices
                inputs, targets = (column[places] for column in problem.train)
                loss = problem.mean_loss(module(inputs), targets)
                slopes = torch.autograd.grad(loss, parameters, create_graph=True)
                flat = torch.cat([slope.reshape(-1) for slope in slopes])
                product = torch.autograd.grad(flat @ current, parameters)
                hvp = torch.cat([part.reshape(-1) for part in product])
                current = query + (1 - damping) * current - hvp / scale
            total += current / scale
        rows.append(train @ (total / num_samples).numpy())
    return np.stack(rows)


@pytest.mark.parametrize("make", [logistic_regression, multilayer_perceptron])
@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        ({"recursion_depth": 30, "scale": 10.0, "damping": 3e-3}, 30),
        ({"recursion_depth": 0.5, "scale": 5.0, "damping": 0.1}, 2),  # of 5 or 6 batches
        ({"recursion_depth": 2.0, "scale": 5.0, "damping": 0.0, "num_samples": 2}, None),
        ({"recursion_depth": {"steps": 9}, "num_samples": 3}, 9),
        ({"recursion_depth": 25, "scale": 2.0, "lissa_batch_size": 1000}, 25),
        ({}, 1),
    ],
)
def test_the_recursion_to_the_letter(make: Any, arguments: dict[str, Any], steps: Any) -> None:
    problem: Problem = make()
    given: dict[str, Any] = {"lissa_batch_size": 8, **arguments}
    interpreter = SimpleInfluence(
        problem.module(),
        problem.train,
        weight_decay=problem.weight_decay,  # which AllenNLP does not know of
        compatibility="allennlp",
        seed=3,
        **given,
    )
    batches = -(-problem.num_train // interpreter.lissa_batch_size)
    if steps is None:
        steps = 2 * batches
    elif arguments.get("recursion_depth") == 0.5:
        steps = int(0.5 * batches)
    expected = restated(
        problem,
        interpreter,
        steps=steps,
        damping=given.get("damping", 3e-3),
        scale=given.get("scale", 1e4),
        num_samples=given.get("num_samples", 1),
    )
    found = interpreter.scores(problem.queries)
    error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    print(f"{problem.name}, {arguments}: relative error {error:.2g}")
    assert interpreter.steps == steps
    assert error <= 1e-8


def test_its_effective_damping_is_damping_times_scale() -> None:
    problem = logistic_regression()
    interpreter = SimpleInfluence(
        problem.module(),
        problem.train,
        compatibility="allennlp",
        lissa_batch_size=1000,
        recursion_depth={"steps": 400},
        scale=2.0,
        damping=0.05,
    )
    found = interpreter.scores(problem.queries)
    size = len(references.hessian(problem))
    data_hessian = references.hessian(problem) - problem.weight_decay * np.eye(size)
    expected = references.damped_scores(problem, data_hessian, 0.05 * 2.0)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    diagnostics = next(interpreter.interpret(problem.queries)).diagnostics
    assert diagnostics["damping"] == 0.1
    assert diagnostics["scale"] == 2.0
    assert diagnostics["relative_residual"] < 1e-6


def test_no_recursion_at_all_is_refused() -> None:
    problem = logistic_regression()
    message = (
        "recursion_depth 0.25 of 3 batches is no whole step, and AllenNLP would not recurse at "
        'all; raise it, or leave out compatibility: "allennlp"'
    )
    given: dict[str, Any] = {"compatibility": "allennlp", "lissa_batch_size": 16}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SimpleInfluence(problem.module(), problem.train, **given)
    with pytest.raises(ConfigError, match=re.escape(message)):
        SimpleInfluence.from_config(
            {"type": "simple-influence", **given}, model=problem.module(), train_data=problem.train
        )
    # Without the compatibility a part of a step counts as one.
    assert SimpleInfluence(problem.module(), problem.train, lissa_batch_size=16).steps == 1


def test_relative_damping_is_refused() -> None:
    problem = logistic_regression()
    message = 'compatibility "allennlp" takes damping as a number'
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SimpleInfluence(
            problem.module(),
            problem.train,
            compatibility="allennlp",
            damping={"relative": 0.1},
            recursion_depth=3,
        )


def test_divergence_is_an_error_and_never_ranked() -> None:
    problem = logistic_regression()
    interpreter = SimpleInfluence(
        problem.module(),
        problem.train,
        compatibility="allennlp",
        recursion_depth={"steps": 2000},
        scale=0.05,
    )
    with pytest.raises(DivergenceError, match=r"^LiSSA ran away within \d+ steps at scale 0\.05;"):
        interpreter.scores(problem.queries)


def test_queries_do_not_depend_on_those_before() -> None:
    """AllenNLP goes on with one stream of mini-batches from query to query; this does not."""
    problem = logistic_regression()
    given: dict[str, Any] = {"compatibility": "allennlp", "recursion_depth": 5, "scale": 5.0}
    interpreter = SimpleInfluence(problem.module(), problem.train, query_batch_size=1, **given)
    inputs, targets = problem.queries
    last = interpreter.scores((inputs[-1:], targets[-1:]))
    np.testing.assert_allclose(interpreter.scores(problem.queries)[-1:], last, rtol=1e-12)
