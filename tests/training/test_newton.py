"""Newton steps."""

from __future__ import annotations

import torch
from torch import nn

from hessinf.data import Dataset
from hessinf.data.batching import Batches
from hessinf.models import CallableObjective, MeanSquaredError, Objective
from hessinf.training.newton import newton_step
from hessinf.training.objective_function import FullObjective

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(20, 3, dtype=torch.float64, generator=GENERATOR)
TARGETS = torch.randn(20, 1, dtype=torch.float64, generator=GENERATOR)


def function(objective: Objective, decay: float = 0.1) -> FullObjective:
    torch.manual_seed(0)
    module = nn.Linear(3, 1).double()
    data = Batches(Dataset.from_columns(INPUTS, TARGETS), 8)
    return FullObjective(module, list(module.parameters()), data, objective, None, decay)


def test_one_step_solves_a_quadratic():
    quadratic = function(MeanSquaredError())
    before = quadratic.evaluate()
    after = newton_step(quadratic, before)
    assert after is not None
    assert after.gradient_norm < 2e-3 * before.gradient_norm
    assert quadratic.evaluate().gradient_norm == after.gradient_norm


def test_at_the_minimum_nothing_moves():
    quadratic = function(MeanSquaredError())
    evaluation = quadratic.evaluate()
    for _ in range(20):
        after = newton_step(quadratic, evaluation)
        if after is None:
            break
        evaluation = after
    assert after is None
    assert evaluation.gradient_norm < 1e-14
    assert quadratic.evaluate().gradient_norm == evaluation.gradient_norm


def test_negative_curvature_is_refused():
    concave = function(CallableObjective(lambda f, y: -((f - y) ** 2).sum(1)), decay=0.0)
    before = [value.detach().clone() for value in concave.parameters]
    assert newton_step(concave, concave.evaluate()) is None
    assert all(torch.equal(a, b) for a, b in zip(before, concave.parameters, strict=True))


def test_a_step_that_overshoots_is_taken_back():
    # Newton's method on log cosh diverges from far away.
    far = function(CallableObjective(lambda f, y: torch.log(torch.cosh(f - 20 * y)).sum(1)), 0.0)
    evaluation = far.evaluate()
    before = [value.detach().clone() for value in far.parameters]
    assert newton_step(far, evaluation) is None
    assert all(torch.equal(a, b) for a, b in zip(before, far.parameters, strict=True))
