"""Training on all examples at once."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from hessinf.data import Dataset
from hessinf.data.batching import Batches
from hessinf.models import CallableObjective, CrossEntropy, Objective
from hessinf.runtime import progress
from hessinf.training import Lbfgs, TrainingError
from hessinf.training.full_batch import minimize
from hessinf.training.objective_function import FullObjective

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(40, 3, dtype=torch.float64, generator=GENERATOR)
CLASSES = torch.randint(0, 3, (40,), generator=GENERATOR)


def function(
    objective: Objective, decay: float = 0.05, dtype: torch.dtype = torch.float64
) -> FullObjective:
    torch.manual_seed(0)
    module = nn.Linear(3, 3).to(dtype)
    data = Batches(Dataset.from_columns(INPUTS, CLASSES), 16, dtype=dtype)
    return FullObjective(module, list(module.parameters()), data, objective, None, decay)


def run(objective: FullObjective, **settings: object) -> tuple[int, str]:
    settings = {"iterations": 500, "gradient_tolerance": None, **settings}
    with progress.bar(stage="train", total=None) as shown:
        optimizer = Lbfgs().build(objective.parameters)
        return minimize(objective, optimizer, shown=shown, **settings)


def test_tolerance_below_what_a_line_search_can_see():
    convex = function(CrossEntropy())
    iterations, stopped = run(convex, gradient_tolerance=1e-13)
    assert stopped == "gradient-tolerance"
    assert convex.evaluate().gradient_norm <= 1e-13
    assert iterations < 100


def test_tolerance_at_the_start():
    convex = function(CrossEntropy())
    assert run(convex, gradient_tolerance=1e3) == (0, "gradient-tolerance")


def test_iterations_end():
    convex = function(CrossEntropy())
    assert run(convex, iterations=13) == (13, "epochs")
    assert run(convex, iterations=0) == (0, "epochs")


def test_without_a_tolerance_it_goes_on_until_rounding_ends_it():
    convex = function(CrossEntropy())
    iterations, stopped = run(convex)
    assert stopped == "stalled"
    assert iterations < 500
    assert convex.evaluate().gradient_norm < 1e-6


def test_a_tolerance_out_of_reach_is_reported():
    convex = function(CrossEntropy(), dtype=torch.float32)
    iterations, stopped = run(convex, gradient_tolerance=1e-13)
    assert stopped == "stalled"
    assert iterations < 500
    assert 1e-13 < convex.evaluate().gradient_norm < 1e-5


def test_infinite_at_the_start():
    message = (
        "training diverged: after iteration 0 the objective is inf and its gradient's norm nan; "
        "with the initial weights: inputs or targets are very large or not finite, try a reader "
        "that standardizes them"
    )
    infinite = function(CallableObjective(lambda f, y: torch.exp(1000 + 0 * f).sum(1)))
    with pytest.raises(TrainingError, match=f"^{re.escape(message)}$"):
        run(infinite)


def test_no_minimum():
    unbounded = function(CallableObjective(lambda f, y: -torch.exp(f).sum(1)), decay=0.0)
    message = "the objective may have no minimum, try weight_decay above 0"
    with pytest.raises(TrainingError, match=f"^training diverged: after iteration .*{message}$"):
        run(unbounded)
