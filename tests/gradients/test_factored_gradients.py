"""Gradients as factors are the gradients, and tensors only where they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from hessinf.data.batching import Batch
from hessinf.gradients import FactoredGradients, FunctionalModel, Gradients, PerExampleGradients
from hessinf.models import CallableObjective, CrossEntropy

KINDS = ["mlp", "cnn", "encoder", "attention", "reused", "tied"]
"""Of the models in conftest.py, some whose layers make factors."""


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, make_case: Callable[[str], Any]) -> Any:
    return make_case(request.param)


def factored(case: Any) -> FactoredGradients:
    compute = PerExampleGradients(case.model, case.objective.losses, "loss")
    with case.model.evaluating():
        gradients, _ = compute(case.batch)
    assert isinstance(gradients, FactoredGradients)
    return gradients


def same(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_mapping_of_tensors(case: Any) -> None:
    gradients = factored(case)
    expected = case.model.layout.unflatten(case.gradients())
    assert list(gradients) == list(expected)
    assert len(gradients) == len(expected)
    assert gradients.count == case.batch.size
    for name, block in gradients.items():
        same(block, expected[name])
    with pytest.raises(KeyError):
        gradients["no such parameter"]


def test_flat(case: Any) -> None:
    gradients = factored(case)
    same(gradients.flatten(), case.gradients())
    assert gradients.flatten() is gradients.flatten()
    assert gradients[next(iter(gradients))].data_ptr() == gradients.flatten().data_ptr()


def test_arithmetic_is_that_of_tensors(case: Any) -> None:
    gradients, expected = factored(case), case.gradients()
    same(gradients.dot(gradients), expected @ expected.T)
    same((gradients + gradients).flatten(), 2 * expected)
    same((-gradients).flatten(), -expected)
    same((gradients * 0.5).flatten(), 0.5 * expected)
    like = gradients.like(expected[:2])
    assert type(like) is Gradients
    same(like.flatten(), expected[:2])


def test_units_and_the_rest_are_all_there_is(case: Any) -> None:
    gradients = factored(case)
    within = {name for unit in gradients.units for name in unit.parameters}
    assert within.isdisjoint(gradients.rest_names)
    assert within | set(gradients.rest_names) == set(gradients)
    expected = case.model.layout.unflatten(case.gradients())
    for unit in gradients.units:
        products = sum(usage.product(unit.out_features)[0] for usage in gradients.usages(unit))
        same(products, unit.matrix(expected))
        counts = gradients.positions(unit)
        for side, count in counts.items():
            usages = [x for x in gradients.usages(unit) if x.gradient_side == side]
            assert sum(usage.positions for usage in usages) == count
    if gradients.rest_names:
        parts = [expected[name].reshape(5, -1) for name in gradients.rest_names]
        rest = torch.cat(parts, dim=1)
        same(gradients.rest, rest)


def test_some_examples(case: Any) -> None:
    gradients, expected = factored(case), case.gradients()
    choices: list[Any] = [slice(1, 4), slice(3, 99), slice(None, None, 2), torch.tensor([4, 0])]
    for places in choices:
        some = gradients.select(places)
        assert isinstance(some, FactoredGradients)
        assert some.count == len(expected[places])
        same(some.flatten(), expected[places])
        same(some.select(slice(1, 2)).flatten(), expected[places][1:2])
        same(some.select(torch.tensor([1, 0])).flatten(), expected[places][[1, 0]])
    assert gradients.select(slice(2, 2)).count == 0


def test_formed_in_some_parameters(case: Any) -> None:
    gradients = factored(case)
    unit = gradients.units[-1]
    expected = case.model.layout.unflatten(case.gradients())
    names = [name for name in gradients if name in unit.parameters]
    found = gradients.formed(names, slice(1, 3))
    same(found, torch.cat([expected[name][1:3].flatten(1) for name in names], dim=1))


def test_what_was_formed_is_let_go(case: Any) -> None:
    gradients = factored(case)
    memory = gradients.memory
    gradients.flatten()
    assert gradients.memory == memory
    again = gradients.anew()
    assert again._flat is None
    assert not again._blocks
    same(again.flatten(), case.gradients())


def test_memory_is_that_of_factors() -> None:
    model = FunctionalModel(nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)))
    batch = Batch(torch.randn(4, 3), torch.tensor([0, 1, 1, 0]), torch.arange(4))
    gradients, _ = PerExampleGradients(model, CrossEntropy().losses, "loss")(batch)
    assert isinstance(gradients, FactoredGradients)
    assert gradients.memory == 4 * 4 * (3 + 5 + 5 + 2)


def test_no_graph_hangs_on_them(make_case: Callable[[str], Any]) -> None:
    gradients = factored(make_case("encoder"))
    assert all(call.edge is None for call, _ in gradients.factors._calls)
    for unit in gradients.units:
        for usage in gradients.usages(unit):
            assert not usage.rows.requires_grad
            assert not usage.inputs.requires_grad


def test_a_parameter_without_effect() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    batch = Batch(torch.randn(3, 2), torch.tensor([0, 1, 1]), torch.arange(3))
    compute = PerExampleGradients(FunctionalModel(Idle()), CrossEntropy().losses, "loss")
    gradients, _ = compute(batch)
    assert isinstance(gradients, FactoredGradients)
    assert gradients.rest_names == ()
    assert gradients.rest.shape == (3, 0)
    assert not gradients["idle.weight"].any()
    assert not gradients.flatten()[:, 6:].any()


@pytest.mark.parametrize("size", [1e-30, 1e25])
def test_the_bound_may_be_infinite_where_gradients_are_finite(size: float) -> None:
    model = FunctionalModel(nn.Linear(2, 2))
    batch = Batch(torch.full((3, 2), size), torch.tensor([0, 1, 1]), torch.arange(3))
    objective = CallableObjective(lambda outputs, targets: outputs.sum(1))
    gradients, _ = PerExampleGradients(model, objective.losses, "loss")(batch)
    assert bool(gradients.bound().isfinite()) == (size < 1)
    torch.testing.assert_close(gradients["weight"], torch.full((3, 2, 2), size))


def test_the_bound_tells_what_is_not_finite() -> None:
    flat = torch.tensor([[1.0, 2.0], [float("nan"), 0.0]])
    assert not Gradients({"weight": flat}).bound().isfinite()
    assert Gradients({"weight": flat[:1]}).bound().isfinite()


def test_numbers_formed(make_case: Callable[[str], Any]) -> None:
    for name, expected in (("mlp", 0), ("lstm", None), ("cnn", None)):
        case = make_case(name)
        compute = PerExampleGradients(case.model, case.objective.losses, "loss")
        with case.model.evaluating():
            before = compute.numbers_formed(case.batch)
            gradients, _ = compute(case.batch)
            assert compute.numbers_formed(case.batch) == before
        if name == "lstm":
            assert not isinstance(gradients, FactoredGradients)
            assert before == case.model.layout.size
        else:
            assert isinstance(gradients, FactoredGradients)
            assert before == gradients.rest.shape[1]
            assert expected in (None, before)


def test_parts_come_in_order(make_case: Callable[[str], Any]) -> None:
    case = make_case("mlp")
    compute = PerExampleGradients(case.model, case.objective.losses, "loss")
    compute._at_once = 2
    with case.model.evaluating():
        parts = list(compute.parts(case.batch))
    assert [gradients.count for gradients, _ in parts] == [2, 2, 1]
    assert [len(values) for _, values in parts] == [2, 2, 1]
    same(torch.cat([gradients.flatten() for gradients, _ in parts]), case.gradients())
