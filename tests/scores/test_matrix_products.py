"""Matrices of queries, as a method has them, times factors that are at hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hessinf.gradients import FactoredGradients
from hessinf.gradients.layers import Usage
from hessinf.scores.matrix_products import MatrixProducts
from hessinf.scores.pair_products import PairProducts
from hessinf.scores.workspace import Workspace

WAYS: tuple[Any, ...] = (None, "outer-products", "columns-first", "rows-first")


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def linear(positions: int, bias: float | None) -> Usage:
    return Usage("m:linear", "rows", normal(1, 7, positions, 4), normal(7, positions, 5), bias, ())


@pytest.mark.parametrize("strategy", WAYS)
@pytest.mark.parametrize("positions", [1, 3])
class TestLayouts:
    def test_the_bias_within(self, strategy: Any, positions: int) -> None:
        usage = linear(positions, 1.0)
        matrices = normal(6, 4, 6)
        total = torch.zeros(6, 7, dtype=torch.float64)
        MatrixProducts(matrices, strategy=strategy).add_usages(total, [usage])
        gradients = usage.product(4)[0]  # [B, O, I + 1]
        close(total, torch.einsum("qoi,boi->qb", matrices, gradients))

    def test_the_bias_beside(self, strategy: Any, positions: int) -> None:
        usages = [linear(positions, 1.0), linear(positions, 0.0)]
        matrices, bias = normal(6, 4, 5), normal(6, 4)
        total = torch.ones(6, 7, dtype=torch.float64)
        MatrixProducts(matrices, bias, strategy=strategy).add_usages(total, usages)
        gradients = sum(usage.product(4)[0] for usage in usages)
        together = torch.cat([matrices, bias.unsqueeze(2)], dim=2)
        close(total, 1 + torch.einsum("qoi,boi->qb", together, gradients))

    @pytest.mark.parametrize("layout", ["flat", "transposed", "neither"])
    def test_memory(self, strategy: Any, positions: int, layout: str) -> None:
        usage = linear(positions, None)
        if layout == "flat":
            matrices = normal(6, 50)[:, 7:27].unflatten(1, (4, 5))
        elif layout == "transposed":
            matrices = normal(6, 50)[:, 7:27].unflatten(1, (5, 4)).transpose(1, 2)
        else:
            matrices = normal(4, 6, 10)[..., ::2].transpose(0, 1)
        total = torch.zeros(6, 7, dtype=torch.float64)
        products = MatrixProducts(matrices, strategy=strategy)
        products.add_usages(total, [usage])
        close(total, torch.einsum("qoi,boi->qb", matrices, usage.product(4)[0]))
        assert (products.matrices.data_ptr() == matrices.data_ptr()) == (layout != "neither")


@pytest.mark.parametrize("bias", [None, 1.0])
def test_transformed_factors(bias: float | None) -> None:
    """Factors of one's own making: what K-FAC does to a query's is linear on both sides."""
    usage = linear(3, bias)
    left, right = normal(4, 4), normal(5, 5)
    queries = Usage(
        "m:linear", "rows", usage.rows[:, :2] @ left, usage.inputs[:2] @ right, bias, ()
    )
    total = torch.zeros(2, 7, dtype=torch.float64)

    class Source:
        count = 7

        def usages(self, _: Any) -> list[Usage]:
            return [usage]

        def positions(self, _: Any) -> dict[str, int]:
            return {"rows": 3}

        def select(self, places: slice) -> Any:
            raise AssertionError("all fit together")

    unit: Any = None
    source: Any = Source()
    PairProducts([queries]).add_to(total, source, unit)
    close(total, torch.einsum("qoi,boi->qb", queries.product(4)[0], usage.product(4)[0]))


def test_the_plan_names_the_matrix(case: Any) -> None:
    compute = case.compute
    with case.model.evaluating():
        train = compute(case.train)[0]
    assert isinstance(train, FactoredGradients)
    for unit in train.units:
        matrices = normal(3, unit.out_features, unit.in_features)
        products = MatrixProducts(matrices)
        plan = products.plan(train, unit)
        assert {choice.name for choice in plan} == {unit.name}
        assert len(plan) == len(train.positions(unit))
        total = torch.zeros(3, 7, dtype=torch.float64)
        products.add_to(total, train, unit)
        gradients = unit.matrix(case.model.layout.unflatten(case.reference(case.train)))
        close(total, torch.einsum("qoi,boi->qb", matrices, gradients))


def test_a_workspace_grows_and_is_used_again() -> None:
    workspace = Workspace()
    single, double = torch.zeros(1), torch.zeros(1, dtype=torch.float64)
    first = workspace.take("tile", (2, 3), single)
    assert first.shape == (2, 3)
    assert workspace.take("tile", (5,), single).data_ptr() == first.data_ptr()
    assert workspace.take("other", (5,), single).data_ptr() != first.data_ptr()
    assert workspace.take("tile", (4, 3), single).numel() == 12
    assert workspace.take("tile", (2,), double).dtype == torch.float64
