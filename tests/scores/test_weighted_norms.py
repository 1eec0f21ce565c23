"""Weighted squares of gradients in other bases, from factors, are those of gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hessinf.gradients import FactoredGradients
from hessinf.gradients.layers import MatrixUnit
from hessinf.scores import norms, weighted_norms
from hessinf.scores.weighted_norms import MatrixWeights


def basis(size: int, generator: torch.Generator) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q


def weights_of(unit: MatrixUnit, rotated: str) -> MatrixWeights:
    generator = torch.Generator().manual_seed(unit.out_features * 100 + unit.in_features)
    outer, inner = unit.out_features, unit.in_features
    return MatrixWeights(
        torch.rand(outer, inner, generator=generator, dtype=torch.float64),
        basis(outer, generator) if "rows" in rotated else None,
        basis(inner, generator) if "columns" in rotated else None,
    )


@pytest.mark.parametrize("rotated", ["rows, columns", "columns", "rows", ""])
@pytest.mark.parametrize("factors", [None, True, False])
@pytest.mark.parametrize("room", [1 << 20, 100])
def test_of_all_matrices(
    case: Any, rotated: str, factors: bool | None, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(norms, "tile_bytes", lambda *_, **__: room)
    if factors is not None:
        monkeypatch.setattr(weighted_norms, "_prefers_factors", lambda *_: factors)
    with case.model.evaluating():
        train = case.compute(case.train)[0]
    assert isinstance(train, FactoredGradients)
    weights = {unit.name: weights_of(unit, rotated) for unit in train.units}
    found = weighted_norms.weighted_norms(train, weights)  # [B]

    tensors = case.model.layout.unflatten(case.reference(case.train))
    expected = torch.zeros(train.count, dtype=torch.float64)
    for unit in train.units:
        matrix, own = unit.matrix(tensors), weights[unit.name]  # [B, O, I]
        if own.rows is not None:
            matrix = own.rows.T @ matrix
        if own.columns is not None:
            matrix = matrix @ own.columns
        expected += (matrix.square() * own.values).sum((1, 2))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_weights_decide_the_precision(make_case: Any) -> None:
    case = make_case("mlp")
    with case.model.evaluating():
        train = case.compute(case.train)[0]
    weights = {
        unit.name: MatrixWeights(torch.ones(unit.out_features, unit.in_features))
        for unit in train.units
    }
    found = weighted_norms.weighted_norms(train, weights)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), norms.squared_norms(train), rtol=1e-6, atol=0)


def test_rotates_what_is_smaller() -> None:
    unit = MatrixUnit("a", "a.weight", None, 4, 10, range(4))
    own = weights_of(unit, "rows, columns")
    # 16 + 100 for each position, 160 + 400 for the gradient.
    assert weighted_norms._prefers_factors(4, unit, own)
    assert not weighted_norms._prefers_factors(5, unit, own)
    assert weighted_norms._prefers_factors(1000, unit, weights_of(unit, ""))


def test_nothing_in_matrices(make_case: Any) -> None:
    case = make_case("mlp")
    with case.model.evaluating():
        train = case.compute(case.train)[0]
    idle = FactoredGradients.select(train, slice(0, 0))
    weights = {unit.name: weights_of(unit, "") for unit in train.units}
    assert weighted_norms.weighted_norms(idle, weights).shape == (0,)
