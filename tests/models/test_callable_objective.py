"""A user's own loss function."""

from __future__ import annotations

import re

import pytest
import torch

from hessinf.data import Dataset
from hessinf.models import CallableObjective, CrossEntropy, Margin, ObjectiveError, as_objective


def cubic(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs.squeeze(1) - targets).abs() ** 3


OUTPUTS, TARGETS = torch.tensor([[1.0], [2.0]]), torch.tensor([0.0, 4.0])


def test_losses():
    assert CallableObjective(cubic).losses(OUTPUTS, TARGETS).tolist() == [1.0, 8.0]
    assert CallableObjective(cubic).predictions(OUTPUTS) is OUTPUTS


def test_a_loss_that_is_averaged_is_refused():
    message = (
        'the loss function "averaged" has to return one loss for every example: expected shape '
        '[2], found []; do not average over the batch (reduction="none" in PyTorch), and add up '
        "what belongs to one example"
    )

    def averaged(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return cubic(outputs, targets).mean()

    with pytest.raises(ObjectiveError, match=f"^{re.escape(message)}$"):
        CallableObjective(averaged).losses(OUTPUTS, TARGETS)


def test_what_a_function_lacks_is_refused_by_name():
    objective = CallableObjective(cubic)
    with pytest.raises(
        ObjectiveError,
        match=re.escape(
            'the loss function "cubic" cannot sample targets, which a Monte-Carlo Fisher needs; '
            'try an interpreter argument `fisher` that samples none ("empirical"), or give the '
            "objective a method `sample_targets`"
        ),
    ):
        objective.sample_targets(OUTPUTS, TARGETS, torch.Generator())
    with pytest.raises(
        ObjectiveError,
        match=re.escape(
            'the loss function "cubic" has no square root of its output Hessian, which '
            "Gauss-Newton curvature needs; try an interpreter that needs only gradients and "
            'Hessian products (curvature "hessian"), or give the objective a method '
            "`hessian_square_root_blocks`"
        ),
    ):
        objective.hessian_square_root(OUTPUTS, TARGETS)
    with pytest.raises(
        ObjectiveError,
        match=re.escape(
            'the loss function "cubic" does not say how many outputs a model needs for the data; '
            "give a model that is built already, or an Objective with a method `out_features`"
        ),
    ):
        objective.out_features(Dataset.from_columns(OUTPUTS, TARGETS))
    with pytest.raises(
        ObjectiveError,
        match=re.escape(
            'the measurement "margin" needs classes, and the loss function "cubic" has none; try '
            'the measurement "loss"'
        ),
    ):
        Margin().values(OUTPUTS, TARGETS, objective)
    assert not objective.is_negative_log_likelihood


def test_as_objective():
    objective = CrossEntropy()
    assert as_objective(objective) is objective
    assert isinstance(as_objective("cross-entropy"), CrossEntropy)
    built = as_objective({"type": "cross-entropy", "ignore_index": -1})
    assert isinstance(built, CrossEntropy)
    assert built.ignore_index == -1
    wrapped = as_objective(cubic)
    assert isinstance(wrapped, CallableObjective)
    assert wrapped.function is cubic


def test_as_objective_refuses_anything_else():
    message = (
        "an objective is an Objective, a registered name, a config or a function, found 3 (int)"
    )
    with pytest.raises(ObjectiveError, match=re.escape(message)):
        as_objective(3)  # type: ignore[arg-type]
