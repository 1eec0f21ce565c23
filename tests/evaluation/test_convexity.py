"""Tests of convexity: what passes, what does not, and the Hessian that they use."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hessinf.data import as_dataset
from hessinf.evaluation import EvaluationError
from hessinf.evaluation.convexity import factorized, hessian_at, moved, require_affine_outputs
from hessinf.evaluation.stacked_objective import StackedModels
from hessinf.gradients import FunctionalModel
from hessinf.models import Objective


class Squared(nn.Module):
    """Convex in its parameters, and not linear in them."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, dtype=torch.float64))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (inputs @ self.weight.square())[:, None]


class PartlyFrozen(nn.Module):
    """Two layers, the first of them fixed: linear in what is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4).double().requires_grad_(False)
        self.second = nn.Linear(4, 2).double()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(inputs)))


def models(module: nn.Module, objective: str = "cross-entropy") -> StackedModels:
    model = FunctionalModel(module, dtype=torch.float64)
    return StackedModels(model, Objective.from_config(objective), 4.0)


def data(classes: int = 2):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    return as_dataset((inputs, torch.arange(20) % classes))


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(3, 2).double(),
        nn.Linear(3, 2, bias=False),
        nn.Sequential(nn.LayerNorm(3, elementwise_affine=False), nn.Linear(3, 2)).double(),
        PartlyFrozen(),
    ],
    ids=["bias", "float32", "normalized", "frozen"],
)
def test_linear_in_what_is_trained(module: nn.Module) -> None:
    theta = require_affine_outputs(models(module), data(), "it")
    assert theta.shape == (sum(x.numel() for x in module.parameters() if x.requires_grad),)
    assert theta.dtype == torch.float64


@pytest.mark.parametrize(
    "module",
    [
        Squared(),
        nn.Sequential(nn.Linear(3, 2), nn.Softplus()).double(),
        nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)).double(),
        nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)).double(),
    ],
    ids=["squared", "softplus", "two layers", "rectified"],
)
def test_not_linear(module: nn.Module) -> None:
    with pytest.raises(EvaluationError, match="are not linear in its parameters"):
        require_affine_outputs(models(module), data(), "it")


def test_the_hessian_elsewhere_than_at_the_modules_own_parameters() -> None:
    dataset = data()
    stacked = models(nn.Linear(3, 2).double())
    theta = torch.linspace(-1, 1, 8, dtype=torch.float64)
    inputs, targets = dataset.stacked.inputs, dataset.targets

    def loss(at: torch.Tensor) -> torch.Tensor:
        outputs = inputs @ at[:6].reshape(2, 3).T + at[6:]
        return nn.functional.cross_entropy(outputs, targets)

    expected = torch.autograd.functional.hessian(loss, theta)
    torch.testing.assert_close(hessian_at(stacked, dataset, theta, "Hessian"), expected)
    other = moved(stacked.model, theta)
    assert not torch.equal(other.parameters["weight"], stacked.model.parameters["weight"])


def test_factors() -> None:
    matrix = torch.tensor([[4.0, 2.0], [2.0, 5.0]], dtype=torch.float64)
    factor = factorized(matrix.clone(), "it")
    torch.testing.assert_close(factor @ factor.T, matrix)


@pytest.mark.parametrize("entry", [1.0, 2.0])
def test_what_has_no_single_minimum(entry: float) -> None:
    matrix = torch.tensor([[1.0, entry], [entry, 1.0]], dtype=torch.float64)
    with pytest.raises(EvaluationError) as raised:
        factorized(matrix, "it")
    assert str(raised.value) == (
        "it needs a training objective with one minimum, and its Hessian (2 × 2) is not positive "
        "definite; train with weight_decay above 0, such as 1e-3"
    )
