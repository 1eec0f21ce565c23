"""Inner products of factors are those of gradients, whichever way they are computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch

from hessinf.gradients import FactoredGradients, Gradients
from hessinf.scores import contraction, matrix_products, pair_products, parameter_products
from hessinf.scores.contraction import InnerProducts
from hessinf.scores.cost_model import Strategy

STRATEGIES: tuple[Any, ...] = (None, *get_args(Strategy))


def both(case: Any) -> tuple[FactoredGradients, FactoredGradients]:
    compute = case.compute
    with case.model.evaluating():
        found = compute(case.queries)[0], compute(case.train)[0]
    assert all(isinstance(gradients, FactoredGradients) for gradients in found)
    return found  # type: ignore[return-value]


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-12) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert float((found - expected).norm() / expected.norm()) < tolerance


@pytest.fixture(params=["whole", "tiles"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have room for everything at once, or for hardly anything."""
    if request.param == "tiles":
        for module in (matrix_products, pair_products, parameter_products):
            monkeypatch.setattr(module, "tile_bytes", lambda *_, **__: 200)
        monkeypatch.setattr("hessinf.scores.planner.TILE_EXAMPLES", 3)
        monkeypatch.setattr("hessinf.scores.planner.PRODUCT_TILE_BYTES", 300)
        monkeypatch.setattr("hessinf.scores.planner.TILE_BYTES", 200)
        monkeypatch.setattr("hessinf.scores.planner.SUMMED_TILE_EXAMPLES", 2)
        monkeypatch.setattr("hessinf.scores.planner.SUMMED_TILE_BYTES", 800)


@pytest.mark.usefixtures("tiles")
class TestEveryWay:
    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_queries_as_factors(self, case: Any, strategy: Strategy | None) -> None:
        queries, train = both(case)
        expected = case.reference(case.queries) @ case.reference(case.train).T
        close(InnerProducts(queries, strategy=strategy)(train), expected)

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_queries_as_tensors(self, case: Any, strategy: Strategy | None) -> None:
        _, train = both(case)
        generator = torch.Generator().manual_seed(1)
        flat = torch.randn(4, train.flatten().shape[1], generator=generator, dtype=torch.float64)
        score = InnerProducts(train.like(flat), strategy=strategy)
        close(score(train.anew()), flat @ case.reference(case.train).T)

    def test_examples_as_tensors(self, case: Any) -> None:
        queries, train = both(case)
        expected = case.reference(case.queries) @ case.reference(case.train).T
        plain = Gradients({name: block.clone() for name, block in train.items()})
        close(InnerProducts(queries)(plain), expected)
        close(InnerProducts(queries.like(queries.flatten()))(plain), expected)


def test_gradients_are_not_formed(make_case: Callable[..., Any]) -> None:
    queries, train = both(make_case("mlp"))
    InnerProducts(queries)(train)
    assert not train._blocks
    assert train._flat is None
    assert queries._flat is None


def test_some_examples(case: Any) -> None:
    queries, train = both(case)
    expected = case.reference(case.queries) @ case.reference(case.train).T
    score = InnerProducts(queries)
    places = torch.tensor([5, 0, 3])
    for chosen in (slice(2, 6), slice(0, 1), slice(None, None, 2), places):
        close(score(train.select(chosen)), expected[:, chosen])
    twice = train.select(slice(1, 6)).select(slice(1, 3))
    close(score(twice), expected[:, 2:4])
    close(score(train.select(places).select(slice(1, 3))), expected[:, [0, 3]])
    close(score(train.select(slice(3, 6)).select(torch.tensor([2, 0]))), expected[:, [5, 3]])


def test_every_matrix_is_in_the_plan(case: Any) -> None:
    queries, train = both(case)
    for factors in (queries, queries.like(queries.flatten())):
        plan = InnerProducts(factors).plan(train)
        named = {name for choice in plan for name in choice.name.split(", ")}
        shared = {
            x.weight for x in train.units if sum(x.weight == y.weight for y in train.units) > 8
        }
        for unit in train.units:
            assert (unit.weight if unit.weight in shared else unit.name) in named
        assert ("rest" in named) == bool(train.rest_names)
        assert all(choice.cost.flops > 0 and choice.cost.bytes > 0 for choice in plan)


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_a_forced_way_is_in_the_plan_where_it_is_possible(
    make_case: Callable[..., Any], strategy: Strategy
) -> None:
    queries, train = both(make_case("words"))  # an embedding, then a layer of one position
    found = [x.strategy for x in InnerProducts(queries, strategy=strategy).plan(train)]
    if strategy == "gather":
        assert found[0] == "gather"
        assert found[1] != "gather"
    elif strategy in ("columns-first", "rows-first"):
        assert found[0] in ("gather", "outer-products")
        assert found[1] == strategy
    else:
        assert found == [strategy, strategy]


def test_what_is_no_factor_is_multiplied_as_a_whole(make_case: Callable[..., Any]) -> None:
    queries, train = both(make_case("mlp"))
    (choice,) = InnerProducts(queries).plan(train.like(train.flatten()))
    assert (choice.name, choice.strategy) == ("all", "whole")
    assert choice.cost.flops == 2 * 4 * 7 * (5 * 6 + 6 + 18)


def test_parameters_of_many_matrices_are_formed(make_case: Callable[..., Any]) -> None:
    queries, train = both(make_case("depthwise"))
    plan = {x.name: x.strategy for x in InnerProducts(queries).plan(train)}
    assert plan["0.weight, 0.bias"] == "formed"
    assert len(plan) == 2
    assert contraction.MANY_UNITS < 9


def test_queries_that_did_not_use_a_layer(make_case: Callable[..., Any]) -> None:
    """What was learnt since the queries' gradients were computed does not matter to them."""
    case = make_case("mlp")
    queries, train = both(case)
    expected = case.reference(case.queries) @ case.reference(case.train).T
    object.__setattr__(queries.factors, "plan", _without_units(queries.factors.plan))
    score = InnerProducts(queries)
    queries._blocks |= dict(both(case)[0].items())
    close(score(train), expected)


def _without_units(plan: Any) -> Any:
    import dataclasses

    return dataclasses.replace(plan, unit_of={})


def test_float32(case: Any, make_case: Callable[..., Any], request: Any) -> None:
    kind = request.node.callspec.params["case"]
    queries, train = both(make_case(kind, torch.float32))
    expected = (case.reference(case.queries) @ case.reference(case.train).T).float()
    for strategy in STRATEGIES:
        close(InnerProducts(queries, strategy=strategy)(train), expected, 1e-4)
