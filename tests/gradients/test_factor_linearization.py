"""Gauss-Newton products by what layers receive and give equal automatic differentiation's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.data.batching import Batch
from hessinf.gradients import (
    FunctionalModel,
    GaussNewtonProducts,
)
from hessinf.gradients.factor_linearization import FactorLinearization, linearize_factors
from hessinf.gradients.layers import LayerCapture
from hessinf.gradients.linearization import NotLinearizableError
from hessinf.models import CallableObjective, CrossEntropy, Objective
from tests.gradients.linearizable import (
    NO_CHAINS,
    directions,
    expected,
    frozen,
    mlp,
    problem,
    relative,
    through,
    tied,
)


class Cnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 2, groups=2, bias=False)
        self.last = nn.Linear(24, 3)
        self.scale = nn.Parameter(torch.tensor(1.3))
        nn.init.uniform_(self.norm.running_var, 0.5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.gelu(self.norm(self.first(x.view(-1, 1, 2, 3))))
        return self.last(self.second(x).flatten(1)) * self.scale


FACTORED: dict[str, Callable[[], nn.Module]] = {
    "mlp": mlp,
    "no bias": lambda: mlp(bias=False),
    "tied": tied,
    "layer norm": lambda: nn.Sequential(
        nn.Linear(6, 40), nn.LayerNorm(40), nn.Linear(40, 30), nn.Linear(30, 3)
    ),
    "positions": NO_CHAINS["positions"],
    "first weight frozen": lambda: frozen("0.weight"),
}


@pytest.mark.usefixtures("tiles")
class TestFactors:
    def make(
        self, name: str, objective: Objective
    ) -> tuple[FunctionalModel, Batch, FactorLinearization]:
        model, batch = problem(FACTORED[name])
        return model, batch, linearize_factors(model, LayerCapture(model), objective, batch)

    @pytest.mark.parametrize(
        "objective",
        [CrossEntropy(), CallableObjective(lambda f, y: (f - y.unsqueeze(1)).pow(4).sum(1))],
    )
    @pytest.mark.parametrize("name", FACTORED)
    def test_equal_to_automatic_differentiation(self, name: str, objective: Objective) -> None:
        model, batch, part = self.make(name, objective)
        vectors = directions(model.layout.size, 5)
        reference = expected(GaussNewtonProducts, model, objective, batch, vectors)
        assert relative(through(part, vectors, model), reference) < 1e-13

    @pytest.mark.parametrize("name", FACTORED)
    def test_examples_chosen_and_joined(self, name: str) -> None:
        model, batch, part = self.make(name, CrossEntropy())
        vectors = directions(model.layout.size, 5)
        places = torch.tensor([7, 0, 3, 3])
        chosen = expected(GaussNewtonProducts, model, CrossEntropy(), batch.select(places), vectors)
        assert relative(through(part.select(places), vectors, model), chosen) < 1e-13
        halves = [part.select(torch.arange(4)), part.select(torch.arange(4, 11))]
        joined = FactorLinearization.joined(halves)
        assert joined.nbytes == part.nbytes
        assert relative(through(joined, vectors, model), through(part, vectors, model)) < 1e-14

    def test_convolutions_and_what_no_matrix_holds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hessinf.gradients.factor_linearization.LARGEST_REST", 0.5)
        model, batch = problem(Cnn)
        part = linearize_factors(model, LayerCapture(model), CrossEntropy(), batch)
        assert {"norm.weight", "norm.bias", "scale"} == set(part.rest)
        vectors = directions(model.layout.size, 5)
        reference = expected(GaussNewtonProducts, model, CrossEntropy(), batch, vectors)
        assert relative(through(part, vectors, model), reference) < 1e-13
        places = torch.tensor([2, 9])
        chosen = expected(GaussNewtonProducts, model, CrossEntropy(), batch.select(places), vectors)
        assert relative(through(part.select(places), vectors, model), chosen) < 1e-13

    @pytest.mark.parametrize(
        ("build", "text"),
        [
            (lambda: nn.Linear(6, 70), "70 rows are more than 64"),
            (Cnn, "9 parameters are in no matrices of layers"),
        ],
    )
    def test_refused(self, build: Callable[[], nn.Module], text: str) -> None:
        model, batch = problem(build)
        if text.startswith("9"):
            model = FunctionalModel(model.module, params_to_freeze=["last", "second"])
        with pytest.raises(NotLinearizableError, match=f"^{text}$"):
            linearize_factors(model, LayerCapture(model), CrossEntropy(), batch)
