"""What is chosen follows from shapes: counts of flops and bytes, and the least of them."""

from __future__ import annotations

import pytest

from hessinf.scores import planner
from hessinf.scores.cost_model import (
    FLOPS_PER_BYTE,
    Cost,
    Factors,
    Shape,
    forming,
    moved,
    of_matrices,
    of_pairs,
    product,
)
from hessinf.scores.planner import choose_for_matrices, prefers_pairs, tile_bytes, tile_of


def shape(
    queries: int, count: int, positions: int, outer: int, inner: int, ids: bool = False
) -> Shape:
    return Shape(queries, Factors(count, positions, ids), outer, inner)


def chosen(*numbers: int, ids: bool = False) -> str:
    return choose_for_matrices(shape(*numbers, ids=ids))[0]


class TestCounts:
    def test_a_product(self) -> None:
        assert product(2, 3, 5, 4) == Cost(60, 4 * (6 + 15 + 10))

    def test_time(self) -> None:
        assert Cost(10, 3).time == 10 + 3 * FLOPS_PER_BYTE
        assert (Cost(1, 2) + Cost(3, 4)) * 2 == Cost(8, 12)
        assert moved(5, 8) == Cost(5, 40)

    def test_forming(self) -> None:
        assert forming(Factors(7, 1), 3, 5, 4) == moved(15, 4) * 7
        assert forming(Factors(7, 2), 3, 5, 4) == product(3, 2, 5, 4) * 7
        table = forming(Factors(7, 2, ids=True), 3, 5, 4)
        assert table == (moved(15, 4) + moved(30, 4)) * 7

    def test_matrices(self) -> None:
        costs = of_matrices(shape(2, 7, 1, 3, 5))
        assert list(costs) == ["outer-products", "rows-first", "columns-first"]
        assert costs["outer-products"].flops == 7 * 15 + 2 * 2 * 15 * 7
        assert costs["columns-first"].flops == 2 * (2 * 3 * 5 * 7 + 3 * 3 * 7)
        assert costs["rows-first"].flops == 2 * (2 * 3 * 5 * 7 + 3 * 5 * 7)

    def test_ids(self) -> None:
        costs = of_matrices(shape(2, 7, 4, 3, 5, ids=True))
        assert list(costs) == ["outer-products", "gather"]
        assert costs["gather"].flops == 4 * 2 * 28 * 5

    def test_pairs(self) -> None:
        cost = of_pairs(Factors(2, 3), shape(2, 7, 4, 5, 6))
        pairs = 6 * 28
        assert cost.flops == 2 * pairs * (5 + 6) + 3 * pairs
        by_ids = of_pairs(Factors(2, 3, ids=True), shape(2, 7, 4, 5, 6))
        assert by_ids.flops == pairs + 2 * pairs * 6 + 3 * pairs

    def test_numbers_of_eight_bytes(self) -> None:
        wide = Shape(2, Factors(7, 1), 3, 5, size=8)
        assert of_matrices(wide)["rows-first"].bytes == 2 * (
            of_matrices(shape(2, 7, 1, 3, 5))["rows-first"].bytes
        )


class TestMatrices:
    def test_the_largest_of_three_is_contracted_first(self) -> None:
        assert chosen(2000, 1000, 1, 300, 300) == "outer-products"
        assert chosen(100, 1000, 1, 300, 4000) == "columns-first"
        assert chosen(100, 1000, 1, 4000, 300) == "rows-first"

    def test_several_positions_are_summed_before_many_queries_come(self) -> None:
        for positions in (4, 16, 64):
            assert chosen(50, 1000, positions, 128, 512) == "outer-products"

    def test_one_query(self) -> None:
        assert chosen(1, 1000, 64, 128, 512) == "columns-first"

    def test_rows_of_a_large_table_are_gathered(self) -> None:
        assert chosen(50, 1000, 64, 50_000, 256, ids=True) == "gather"
        assert chosen(50, 1000, 64, 96, 128, ids=True) == "outer-products"

    def test_forced(self) -> None:
        work = shape(100, 1000, 1, 300, 4000)
        assert choose_for_matrices(work, "rows-first")[0] == "rows-first"
        assert choose_for_matrices(work, "gather")[0] == "columns-first"  # there are no ids
        assert choose_for_matrices(work, "rows-first")[1] == of_matrices(work)["rows-first"]


class TestPairs:
    def test_one_position(self) -> None:
        pairs, cost = prefers_pairs([Factors(180, 1)], [shape(180, 1617, 1, 512, 512)])
        assert pairs
        assert cost == of_pairs(Factors(180, 1), shape(180, 1617, 1, 512, 512))

    def test_many_positions(self) -> None:
        pairs, cost = prefers_pairs([Factors(50, 64)], [shape(50, 1000, 64, 128, 512)])
        assert not pairs
        formed = forming(Factors(50, 64), 128, 512, 4)
        assert cost == of_matrices(shape(50, 1000, 64, 128, 512))["outer-products"] + formed

    def test_few_positions_of_large_matrices(self) -> None:
        assert prefers_pairs([Factors(50, 4)], [shape(50, 1000, 4, 2048, 2048)])[0]
        assert not prefers_pairs([Factors(50, 4)], [shape(50, 1000, 4, 8, 8)])[0]

    def test_a_large_table(self) -> None:
        own = [Factors(50, 64, ids=True)]
        assert prefers_pairs(own, [shape(50, 1000, 64, 10**6, 768, ids=True)])[0]
        assert not prefers_pairs(own, [shape(50, 1000, 64, 96, 128, ids=True)])[0]

    def test_tied_weights_count_all_pairs_of_usages(self) -> None:
        queries = [Factors(5, 2, ids=True), Factors(5, 2)]
        shapes = [shape(5, 7, 2, 90, 40, ids=True), shape(5, 7, 2, 90, 40)]
        _, cost = prefers_pairs(queries, shapes, "pairs")
        assert cost.flops == sum(of_pairs(own, x).flops for own in queries for x in shapes)

    def test_forced(self) -> None:
        small = [shape(50, 1000, 64, 8, 8)]
        assert prefers_pairs([Factors(50, 64)], small, "pairs")[0]
        assert not prefers_pairs([Factors(180, 1)], [shape(180, 9, 1, 512, 512)], "rows-first")[0]

    def test_what_is_not_used_costs_nothing(self) -> None:
        assert prefers_pairs([Factors(50, 4)], []) == (True, Cost(0, 0))


class TestTiles:
    @pytest.mark.parametrize("on_cpu", [True, False])
    @pytest.mark.parametrize(
        "work",
        [
            shape(180, 1617, 1, 512, 512),
            shape(50, 2000, 64, 128, 512),
            shape(180, 1617, 64, 64, 288),
            shape(5, 3, 1, 10, 10),
            shape(5, 100, 1, 10, 10**7),
            shape(5, 100, 1000, 4096, 4096),
            shape(50, 2000, 64, 96, 128, ids=True),
            shape(50, 2000, 64, 10**6, 768, ids=True),
        ],
    )
    def test_they_stay_within_their_budget(self, work: Shape, on_cpu: bool) -> None:
        tile = tile_of(work, on_cpu)
        own = work.examples
        assert 1 <= tile.examples <= own.count
        budget = tile_bytes(on_cpu, summed=own.positions > 1)
        assert tile.numbers * work.size == budget
        if tile.examples > 1:
            a_row = min(work.out_features, work.in_features) * work.size
            assert tile.examples * (work.numbers if own.ids else 1) * work.size <= 4 * budget
            assert own.ids or tile.examples * a_row <= 4 * budget

    def test_examples_are_shared_out_evenly(self) -> None:
        assert planner.TILE_EXAMPLES == 256
        assert tile_of(shape(180, 1617, 1, 512, 512), True).examples == 231  # 7 tiles

    def test_few_and_large_on_a_gpu(self) -> None:
        work = shape(180, 1617, 1, 512, 512)
        assert tile_of(work, False).examples == 1617
        assert tile_of(work, False).numbers > tile_of(work, True).numbers
