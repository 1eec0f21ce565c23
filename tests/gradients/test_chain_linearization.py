"""Products by matrix products, layer by layer, equal those of automatic differentiation."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import torch
from torch import nn

from hessinf.data.batching import Batch
from hessinf.gradients import (
    GaussNewtonProducts,
    HessianProducts,
)
from hessinf.gradients.chain_linearization import ChainLinearization, linearize_chain
from hessinf.gradients.layer_chain import record_chain
from hessinf.gradients.linearization import NotLinearizableError
from hessinf.models import CallableObjective, CrossEntropy, Objective
from tests.gradients.linearizable import (
    CHAINS,
    NO_CHAINS,
    Computes,
    directions,
    expected,
    mlp,
    problem,
    relative,
    through,
)

KINDS = pytest.mark.parametrize(
    ("kind", "whole"), [(HessianProducts, True), (GaussNewtonProducts, False)]
)


@pytest.mark.usefixtures("tiles")
class TestChains:
    @KINDS
    @pytest.mark.parametrize("name", CHAINS)
    def test_equal_to_automatic_differentiation(self, name: str, kind: type, whole: bool) -> None:
        model, batch = problem(CHAINS[name])
        vectors = directions(model.layout.size, 5)
        part = linearize_chain(model, CrossEntropy(), batch, whole=whole)
        reference = expected(kind, model, CrossEntropy(), batch, vectors)
        assert relative(through(part, vectors, model), reference) < 1e-13

    @KINDS
    def test_many_examples_lay_matrices_out_anew(self, kind: type, whole: bool) -> None:
        model, batch = problem(mlp, 200)
        vectors = directions(model.layout.size, 3)
        part = linearize_chain(model, CrossEntropy(), batch, whole=whole)
        reference = expected(kind, model, CrossEntropy(), batch, vectors)
        assert relative(through(part, vectors, model), reference) < 1e-13

    @KINDS
    @pytest.mark.parametrize("build", [CHAINS["residual"], CHAINS["relu"]])
    def test_examples_chosen_and_joined(
        self, build: Callable[[], nn.Module], kind: type, whole: bool
    ) -> None:
        model, batch = problem(build)
        vectors = directions(model.layout.size, 5)
        part = linearize_chain(model, CrossEntropy(), batch, whole=whole)
        places = torch.tensor([7, 0, 3, 3])
        chosen = expected(kind, model, CrossEntropy(), batch.select(places), vectors)
        assert part.select(places).size == 4
        assert relative(through(part.select(places), vectors, model), chosen) < 1e-13
        halves = [part.select(torch.arange(4)), part.select(torch.arange(4, 11))]
        joined = ChainLinearization.joined(halves)
        assert joined.size == 11
        assert joined.nbytes == part.nbytes
        assert relative(through(joined, vectors, model), through(part, vectors, model)) < 1e-14

    @pytest.mark.parametrize(
        "objective",
        [
            CrossEntropy(label_smoothing=0.2, weight=[0.5, 2.0, 1.0]),
            CallableObjective(lambda f, y: (f - y.unsqueeze(1)).abs().pow(3).sum(1)),
            CallableObjective(lambda f, y: f.sum(1)),
        ],
    )
    @KINDS
    def test_objectives(self, objective: Objective, kind: type, whole: bool) -> None:
        model, batch = problem(mlp)
        vectors = directions(model.layout.size, 5)
        part = linearize_chain(model, objective, batch, whole=whole)
        reference = expected(kind, model, objective, batch, vectors)
        found = through(part, vectors, model)
        torch.testing.assert_close(found, reference, rtol=1e-12, atol=1e-14)

    def test_losses_without_a_derivative(self) -> None:
        model, batch = problem(mlp)
        objective = CallableObjective(lambda f, y: f.detach().sum(1))
        part = linearize_chain(model, objective, batch, whole=True)
        found = through(part, directions(model.layout.size, 2), model)
        assert not found.any()

    def test_outputs_of_another_shape(self) -> None:
        model, batch = problem(
            lambda: nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Unflatten(1, (2, 3)))
        )
        batch = Batch(batch.inputs, torch.arange(22).view(11, 2) % 3, batch.indices)
        vectors = directions(model.layout.size, 5)
        part = linearize_chain(model, CrossEntropy(), batch, whole=True)
        reference = expected(HessianProducts, model, CrossEntropy(), batch, vectors)
        assert relative(through(part, vectors, model), reference) < 1e-13


class TestNoChains:
    @pytest.mark.parametrize("name", NO_CHAINS)
    def test_refused(self, name: str) -> None:
        model, batch = problem(NO_CHAINS[name])
        with pytest.raises(NotLinearizableError):
            record_chain(model, batch.inputs)

    @pytest.mark.parametrize("name", [*NO_CHAINS])
    @pytest.mark.parametrize("kind", [HessianProducts, GaussNewtonProducts])
    def test_products_are_had_all_the_same(
        self, name: str, kind: type, caplog: pytest.LogCaptureFixture
    ) -> None:
        model, batch = problem(NO_CHAINS[name])
        vectors = directions(model.layout.size, 9)
        with caplog.at_level(logging.WARNING):
            found = kind(model, CrossEntropy(), [batch]).products(vectors)
        reference = expected(kind, model, CrossEntropy(), batch, vectors) / batch.size
        assert relative(found, reference) < 1e-12
        assert not any("layer by layer" in record.getMessage() for record in caplog.records)

    def test_too_many_outputs(self) -> None:
        model, batch = problem(lambda: nn.Linear(6, 200))
        text = "an example has 200 outputs, more than 128"
        with pytest.raises(NotLinearizableError, match=f"^{text}$"):
            linearize_chain(model, CrossEntropy(), batch, whole=True)

    def test_different_ways_are_not_joined(self) -> None:
        def either(x: torch.Tensor, one: nn.Module, other: nn.Module) -> torch.Tensor:
            return one(x) if float(x.detach()[0, 0]) > 0 else torch.tanh(other(x))

        model, batch = problem(lambda: Computes(either, nn.Linear(6, 3), nn.Linear(6, 3)))
        assert isinstance(batch.inputs, torch.Tensor)
        inputs = batch.inputs.clone()
        inputs[0, 0], inputs[5, 0] = 1.0, -1.0
        both = [
            Batch(inputs[s], batch.targets[s], batch.indices[s])
            for s in (slice(0, 5), slice(5, 11))
        ]
        parts = [linearize_chain(model, CrossEntropy(), part, whole=True) for part in both]
        with pytest.raises(NotLinearizableError, match=r"^the model goes different ways$"):
            ChainLinearization.joined(parts)
        vectors = directions(model.layout.size, 4)
        found = HessianProducts(model, CrossEntropy(), both).products(vectors)
        sums = [expected(HessianProducts, model, CrossEntropy(), part, vectors) for part in both]
        assert relative(found, sum(sums, torch.zeros_like(vectors)) / 11) < 1e-13
