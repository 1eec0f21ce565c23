"""Norms and cosines from factors are those of gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from hessinf.gradients import FactoredGradients, Gradients
from hessinf.scores import norms
from hessinf.scores.cosines import Cosines, directions
from hessinf.scores.norms import squared_norms


def both(case: Any) -> tuple[Gradients, Gradients]:
    compute = case.compute
    with case.model.evaluating():
        return compute(case.queries)[0], compute(case.train)[0]


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("pairs", [None, True, False])
@pytest.mark.parametrize("room", [1 << 20, 100])
def test_squared_norms(
    case: Any, pairs: bool | None, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(norms, "tile_bytes", lambda *_, **__: room)
    if pairs is not None:
        monkeypatch.setattr(norms, "_prefers_pairs", lambda *_: pairs)
    _, train = both(case)
    close(squared_norms(train), case.reference(case.train).square().sum(1))


def test_squared_norms_of_tensors(case: Any) -> None:
    _, train = both(case)
    close(squared_norms(train.like(train.flatten())), case.reference(case.train).square().sum(1))


def test_pairs_are_taken_where_positions_are_few(make_case: Callable[..., Any]) -> None:
    seen = []
    _, train = both(make_case("mlp"))
    assert isinstance(train, FactoredGradients)
    for unit in train.units:
        (side,) = norms.joined(train.usages(unit), with_bias=False)
        seen.append(norms._prefers_pairs(side, unit))
    assert seen == [True, True]
    _, train = both(make_case("convolutions"))
    assert isinstance(train, FactoredGradients)
    unit = train.units[0]  # 16 positions of a matrix of 2 x 9
    (side,) = norms.joined(train.usages(unit), with_bias=False)
    assert not norms._prefers_pairs(side, unit)


def test_cosines(case: Any) -> None:
    queries, train = both(case)
    left = torch.nn.functional.normalize(case.reference(case.queries))
    right = torch.nn.functional.normalize(case.reference(case.train))
    for factors in (queries, queries.like(queries.flatten())):
        close(Cosines(factors)(train), left @ right.T)


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e12, 1e30])
def test_cosines_of_tiny_and_huge_gradients(
    size: float, make_case: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32, where their squares are zero or infinite; one has no gradient at all."""
    case = make_case("mlp", torch.float32)
    scales = torch.tensor([1.0, size, 0.0, 1.0, size, 1.0, 1.0])
    plain = type(case).losses
    monkeypatch.setattr(
        type(case), "losses", lambda self, f, y: plain(self, f, y) * scales[: len(y)]
    )
    queries, train = both(case)
    monkeypatch.undo()
    left = torch.nn.functional.normalize(case.reference(case.queries))
    right = torch.nn.functional.normalize(case.reference(case.train))
    expected = left @ right.T
    expected[2], expected[:, 2] = 0.0, 0.0
    found = Cosines(queries)(train)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    some = train.select(torch.tensor([0, 3, 5]))
    torch.testing.assert_close(
        Cosines(some)(train), right[[0, 3, 5]] @ right.T * (scales != 0), rtol=1e-4, atol=1e-5
    )


def test_only_what_is_out_of_range_is_formed(make_case: Callable[..., Any]) -> None:
    queries, train = both(make_case("mlp"))
    Cosines(queries)(train)
    assert train._flat is None
    assert queries._flat is None
    assert not train._blocks  # type: ignore[attr-defined]


def test_directions_have_length_one() -> None:
    found = directions(Gradients({"weight": torch.tensor([[3.0, 4.0], [0.0, 0.0]])}))
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
