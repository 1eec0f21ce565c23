"""The objective as a function of parameters."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hessinf.data import Dataset
from hessinf.data.batching import Batches
from hessinf.models import CrossEntropy
from hessinf.training.objective_function import FullObjective, dot, norm, with_penalty

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(7, 3, dtype=torch.float64, generator=GENERATOR)
CLASSES = torch.tensor([0, 1, 2, 0, 1, 2, 0])
WEIGHTS = torch.rand(7, dtype=torch.float64, generator=GENERATOR)
DECAY = 0.3


def function(
    batch_size: int, weights: torch.Tensor | None = None
) -> tuple[nn.Module, FullObjective]:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    data = Batches(Dataset.from_columns(INPUTS, CLASSES), batch_size)
    parameters = list(module.parameters())
    return module, FullObjective(module, parameters, data, CrossEntropy(), weights, DECAY)


def reference(module: nn.Module, weights: torch.Tensor | None) -> torch.Tensor:
    losses = nn.functional.cross_entropy(module(INPUTS), CLASSES, reduction="none")
    mean = losses.mean() if weights is None else (weights * losses).sum() / weights.sum()
    return mean + 0.5 * DECAY * sum(value.square().sum() for value in module.parameters())


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_value_and_gradient(batch_size, weights):
    module, objective = function(batch_size, None if weights is None else weights / weights.mean())
    found = objective.evaluate()
    expected = reference(module, weights)
    gradients = torch.autograd.grad(expected, list(module.parameters()))
    assert found.objective == pytest.approx(float(expected), rel=1e-12)
    squares = sum(float(value.detach().square().sum()) for value in module.parameters())
    assert found.loss == pytest.approx(float(expected) - 0.5 * DECAY * squares, rel=1e-12)
    assert objective.loss() == pytest.approx(found.loss, rel=1e-12)
    for left, right in zip(found.gradient, gradients, strict=True):
        torch.testing.assert_close(left, right)
    assert found.gradient_norm == pytest.approx(
        float(torch.cat([value.flatten() for value in gradients]).norm()), rel=1e-12
    )


@pytest.mark.parametrize("weights", [None, WEIGHTS / WEIGHTS.mean()], ids=["plain", "weighted"])
def test_hessian_vector_product(weights):
    module, objective = function(3, weights)
    vector = [torch.randn_like(value) for value in module.parameters()]
    gradients = torch.autograd.grad(
        reference(module, weights), list(module.parameters()), create_graph=True
    )
    slope = sum((a * b).sum() for a, b in zip(gradients, vector, strict=True))
    expected = torch.autograd.grad(slope, list(module.parameters()))
    for left, right in zip(objective.hessian_vector_product(vector), expected, strict=True):
        torch.testing.assert_close(left, right)


def test_gradients_are_sums_in_float64():
    module, objective = function(3)
    module.float()
    single = FullObjective(
        module,
        list(module.parameters()),
        Batches(objective.data.dataset, 3, dtype=torch.float32),
        CrossEntropy(),
        None,
        DECAY,
    )
    assert {value.dtype for value in single.evaluate().gradient} == {torch.float64}


def test_penalty_of_sparse_gradients():
    sparse = torch.tensor([0.0, 2.0]).to_sparse()
    parameter = torch.tensor([1.0, 1.0])
    assert with_penalty([sparse], [parameter], 0.0)[0] is sparse
    assert with_penalty([sparse], [parameter], 0.5)[0].tolist() == [0.5, 2.5]


def test_norm_and_dot():
    pieces = [torch.tensor([3.0]), torch.tensor([[0.0, 4.0]])]
    assert norm(pieces) == 5
    assert dot(pieces, [torch.tensor([1.0]), torch.tensor([[5.0, 0.5]])]) == 5
