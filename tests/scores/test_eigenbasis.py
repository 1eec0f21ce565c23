from __future__ import annotations

from typing import Any, Literal

import pytest
import torch

from hessinf.gradients.layers import MatrixUnit, Usage
from hessinf.scores.eigenbasis import Eigenbasis, EigenbasisProducts, QuerySides, Way

QUERIES, EXAMPLES, ROWS, COLUMNS = 4, 6, 5, 7
"""COLUMNS counts the bias's."""


def random(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def unit(bias: bool) -> MatrixUnit:
    return MatrixUnit(
        "layer", "weight", "bias" if bias else None, ROWS, COLUMNS, range(ROWS), range(ROWS)
    )


def basis(rows: bool = True, columns: bool = True) -> Eigenbasis:
    moments = random(ROWS, COLUMNS).square()
    return Eigenbasis(
        torch.linalg.qr(random(ROWS, ROWS)).Q if rows else None,
        torch.linalg.qr(random(COLUMNS, COLUMNS)).Q if columns else None,
        1 / (moments + 0.1),
        moments,
        moments.mean(dim=1).sqrt(),
        moments.mean(dim=0).sqrt(),
    )


class Source:
    """Factors of one matrix."""

    def __init__(self, usages: list[Usage]) -> None:
        self.all = usages

    @property
    def count(self) -> int:
        one = self.all[0]
        return one.rows.shape[1] if one.gradient_side == "rows" else len(one.rows)

    def usages(self, unit: MatrixUnit) -> list[Usage]:
        return self.all

    def positions(self, unit: MatrixUnit) -> dict[Literal["rows", "columns"], int]:
        found: dict[Literal["rows", "columns"], int] = {}
        for usage in self.all:
            found[usage.gradient_side] = found.get(usage.gradient_side, 0) + usage.positions
        return found

    def select(self, places: slice, /) -> Source:
        return Source([_selected(usage, places) for usage in self.all])


def _selected(usage: Usage, places: slice) -> Usage:
    by_rows = usage.gradient_side == "rows"
    rows = usage.rows[:, places] if by_rows else usage.rows[places]
    inputs = usage.inputs[places] if by_rows else usage.inputs[:, places]
    return Usage("m", usage.gradient_side, rows, inputs, usage.bias_column, usage.space)


def usages(count: int, positions: int, bias: bool, calls: int = 1) -> list[Usage]:
    return [
        Usage(
            "m",
            "rows",
            random(1, count, positions, ROWS) + call,
            random(count, positions, COLUMNS - bias) - call,
            1.0 if bias else None,
            (),
        )
        for call in range(calls)
    ]


def looked_up(count: int, positions: int) -> list[Usage]:
    ids = torch.arange(count * positions).reshape(count, positions) % ROWS
    return [Usage("m", "columns", ids, random(1, count, positions, COLUMNS), None, ())]


def gradients(of: list[Usage]) -> torch.Tensor:
    total: Any = sum(usage.product(ROWS)[0] for usage in of)
    return total


def expected(basis: Eigenbasis, queries: list[Usage], examples: list[Usage]) -> torch.Tensor:
    rows = torch.eye(ROWS).double() if basis.rows is None else basis.rows
    columns = torch.eye(COLUMNS).double() if basis.columns is None else basis.columns
    left = rows.T @ gradients(queries) @ columns
    right = rows.T @ gradients(examples) @ columns
    return torch.einsum("qoi,oi,boi->qb", left, basis.inverse, right)


def found(
    basis: Eigenbasis, queries: list[Usage], examples: list[Usage], way: Way, bias: bool
) -> torch.Tensor:
    products = EigenbasisProducts(basis, unit(bias), queries, EXAMPLES)
    products.way = way
    assert bool(products.prepare().isfinite().all())
    total = torch.ones(QUERIES, EXAMPLES, dtype=torch.float64)
    products.add_to(total, Source(examples))
    return total - 1


@pytest.mark.parametrize("way", ["rotated-queries", "rotated-training"])
@pytest.mark.parametrize(("positions", "calls"), [(1, 1), (3, 1), (40, 1), (2, 3)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("unrotated", ["", "rows", "columns", "both"])
def test_exact_ways(
    way: Literal["rotated-queries", "rotated-training"],
    positions: int,
    calls: int,
    bias: bool,
    unrotated: str,
) -> None:
    own = basis(unrotated not in ("rows", "both"), unrotated not in ("columns", "both"))
    queries = usages(QUERIES, positions, bias, calls)
    examples = usages(EXAMPLES, positions + 1, bias, calls)
    torch.testing.assert_close(
        found(own, queries, examples, way, bias),
        expected(own, queries, examples),
        rtol=1e-11,
        atol=1e-10,
    )


@pytest.mark.parametrize("rows", [True, False])
def test_rows_that_are_looked_up(rows: bool) -> None:
    own = basis(rows=rows)
    queries, examples = looked_up(QUERIES, 3), looked_up(EXAMPLES, 2)
    products = EigenbasisProducts(own, unit(False), queries, EXAMPLES)
    assert products.way == "rotated-queries"
    torch.testing.assert_close(
        found(own, queries, examples, "rotated-queries", False),
        expected(own, queries, examples),
        rtol=1e-11,
        atol=1e-11,
    )


class TestLowRank:
    def products(self, allowed: float, bias: bool = True) -> EigenbasisProducts:
        own, queries = basis(), usages(QUERIES, 1, bias)
        products = EigenbasisProducts(
            own, unit(bias), queries, EXAMPLES, sides=QuerySides(own, queries[0])
        )
        products.terms = own.low_rank.terms(allowed, ROWS)
        products.way = "low-rank"
        return products

    @pytest.mark.parametrize("allowed", [10.0, 1.0, 0.1, 1e-9])
    @pytest.mark.parametrize("bias", [True, False])
    def test_the_bound_holds_for_every_score(self, allowed: float, bias: bool) -> None:
        products, examples = self.products(allowed, bias), usages(EXAMPLES, 1, bias)
        assert products.terms is not None
        assert bool(products.prepare().isfinite().all())
        total, bound = torch.zeros(2, QUERIES, EXAMPLES, dtype=torch.float64)
        products.add_to(total, Source(examples), bound)
        error = (total - expected(products.basis, usages(QUERIES, 1, bias), examples)).abs()
        assert bool((error <= bound + 1e-12).all())
        if allowed < 1e-6:
            assert float(error.max()) < 1e-9

    def test_examples_with_more_positions_are_scored_exactly(self) -> None:
        products, examples = self.products(0.1), usages(EXAMPLES, 3, True)
        total, bound = torch.zeros(2, QUERIES, EXAMPLES, dtype=torch.float64)
        products.add_to(total, Source(examples), bound)
        wanted = expected(products.basis, usages(QUERIES, 1, True), examples)
        torch.testing.assert_close(total, wanted, rtol=1e-11, atol=1e-11)
        assert not bool(bound.any())

    def test_what_is_expected_of_scores_and_errors(self) -> None:
        """For independent gradients with Λ for mean squares, by drawing many."""
        own, queries = basis(False, False), usages(QUERIES, 1, False)
        sides = QuerySides(own, queries[0])
        generator = torch.Generator().manual_seed(0)
        drawn = own.second_moments.sqrt() * torch.randn(
            40_000, ROWS, COLUMNS, generator=generator, dtype=torch.float64
        )
        weighted = gradients(queries) * own.inverse  # [Q, O, I]
        squares = torch.einsum("qoi,boi->qb", weighted, drawn).square().mean(dim=1)
        torch.testing.assert_close(sides.expected_square, squares, rtol=0.05, atol=0)


def test_the_least_work_is_chosen() -> None:
    own = basis()
    few = usages(QUERIES, 1, True)
    for num_train, way in ((1, "rotated-training"), (10**6, "rotated-queries")):
        products = EigenbasisProducts(own, unit(True), few, num_train)
        assert products.way == way
        assert products.choice.strategy == way
        assert products.choice.name == "layer"
        assert products.choice.cost.flops > 0
