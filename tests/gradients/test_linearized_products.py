"""Which way products go, and what is kept for them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import nn

from hessinf.data.batching import Batch
from hessinf.gradients import (
    FunctionalModel,
    GaussNewtonProducts,
    HessianProducts,
    curvature_products,
    linearized_data,
)
from hessinf.gradients.block_vectors import BlockVectors
from hessinf.gradients.chain_linearization import ChainLinearization
from hessinf.gradients.factor_linearization import FactorLinearization
from hessinf.models import CrossEntropy, MeanSquaredError
from tests.gradients.linearizable import (
    directions,
    expected,
    mlp,
    problem,
    relative,
)


class TestRoutes:
    def test_gauss_newton_takes_factors_where_there_is_no_chain(self) -> None:
        model, batch = problem(
            lambda: nn.Sequential(
                nn.Linear(6, 40), nn.LayerNorm(40), nn.Linear(40, 30), nn.Linear(30, 3)
            )
        )
        products = GaussNewtonProducts(model, CrossEntropy(), [batch])
        assert products.linearized is not None
        assert isinstance(products.linearized.parts[0], FactorLinearization)

    @pytest.mark.parametrize("kind", [HessianProducts, GaussNewtonProducts])
    def test_what_is_too_large_is_not_kept(self, kind: type) -> None:
        model, batch = problem(mlp)
        vectors = directions(model.layout.size, 9)
        kept = kind(model, CrossEntropy(), [batch], 0.1)
        other = kind(model, CrossEntropy(), [batch], 0.1, kept_bytes=100)
        assert kept.linearized is not None
        assert other.linearized is None
        assert kept.at_once(9) == 9
        assert kind(model, CrossEntropy(), [batch], 0.1, 4, kept_bytes=0).at_once(9) == 4
        assert relative(other.products(vectors), kept.products(vectors)) < 1e-13
        assert relative(other.of_batch(batch)(vectors), kept.of_batch(batch)(vectors)) < 1e-13

    def test_a_wrong_linearization_is_found_out(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        model, batch = problem(mlp)
        real = ChainLinearization._add

        def wrong(self: Any, vectors: Any, into: Any, factor: float, examples: int) -> None:
            real(self, vectors, into, factor * 1.001, examples)

        monkeypatch.setattr(ChainLinearization, "_add", wrong)
        vectors = directions(model.layout.size, 3)
        products = HessianProducts(model, CrossEntropy(), [batch])
        with caplog.at_level(logging.WARNING, logger=curvature_products.__name__):
            found = products.products(vectors)
        reference = expected(HessianProducts, model, CrossEntropy(), batch, vectors) / 11
        assert relative(found, reference) < 1e-12
        (record,) = caplog.records
        assert record.getMessage().startswith(
            "the model cannot be differentiated layer by layer (its products differ from those of "
            "automatic differentiation by "
        )

    def test_out_of_memory_lets_go(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        model, batch = problem(mlp)
        vectors = directions(model.layout.size, 3)
        products = HessianProducts(model, CrossEntropy(), [batch])
        before = products.products(vectors)

        def full(*_: Any, **__: Any) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory.")

        monkeypatch.setattr(linearized_data.LinearizedData, "products", full)
        with caplog.at_level(logging.WARNING, logger=curvature_products.__name__):
            after = products.products(vectors)
        assert relative(after, before) < 1e-13
        assert [record.getMessage() for record in caplog.records] == [
            "out of memory with what is kept of the training data: letting go of it"
        ]
        assert products.linearized is None

    @pytest.mark.parametrize("summed", [3, 1 << 12])
    def test_groups_of_batches(self, summed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(linearized_data, "EXAMPLES_SUMMED", summed)
        monkeypatch.setattr(linearized_data, "NUMBERS_TOGETHER", 1)
        model, batch = problem(mlp)
        batches = [batch.select(slice(start, start + 2)) for start in range(0, 11, 2)]
        vectors = directions(model.layout.size, 20)
        reference = expected(HessianProducts, model, CrossEntropy(), batch, vectors) / 11
        for dtype, tolerance in ((torch.float64, 1e-13), (torch.float32, 1e-6)):
            narrow = FunctionalModel(model.module, dtype=dtype)
            data = [part.to("cpu", dtype) for part in batches]
            products = HessianProducts(narrow, CrossEntropy(), data, 0.3)
            found = products.products(vectors.to(dtype))
            assert products.linearized is not None
            assert len(products.linearized.parts) == (5 if summed == 3 else 1)
            assert found.dtype == dtype
            assert relative(found.double(), reference + 0.3 * vectors) < tolerance

    def test_chosen_examples_of_several_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(linearized_data, "EXAMPLES_SUMMED", 4)
        model, batch = problem(mlp)
        batches = [batch.select(slice(start, start + 4)) for start in range(0, 11, 4)]
        kept = HessianProducts(model, CrossEntropy(), batches).linearized
        assert kept is not None
        assert len(kept.parts) == 3
        places = torch.tensor([10, 1, 5, 1])
        vectors = directions(model.layout.size, 3)
        given = BlockVectors.of_rows(vectors, model.layout)
        into = given.zeros()
        kept.add_batch_products(places, given, into, 0.5)
        reference = expected(HessianProducts, model, CrossEntropy(), batch.select(places), vectors)
        assert relative(into.rows(), reference / 8) < 1e-13

    def test_squares(self) -> None:
        model, batch = problem(
            lambda: nn.Sequential(nn.Linear(6, 4), nn.Sigmoid(), nn.Linear(4, 2))
        )
        batch = Batch(batch.inputs, torch.randn(11, 2, dtype=torch.float64), batch.indices)
        vectors = directions(model.layout.size, 4)
        found = GaussNewtonProducts(model, MeanSquaredError(), [batch]).products(vectors)
        reference = expected(GaussNewtonProducts, model, MeanSquaredError(), batch, vectors) / 11
        assert relative(found, reference) < 1e-13
