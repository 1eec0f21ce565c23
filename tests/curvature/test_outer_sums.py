"""Sums of outer products between layers, against the same sums spelt out."""

from __future__ import annotations

import re

import pytest
import torch

from hessinf.curvature import CurvatureError
from hessinf.curvature.matrix_part import MatrixPart, matrix_part
from hessinf.curvature.outer_sums import OuterSums
from hessinf.gradients.layers import MatrixUnit


def unit(name: str, height: int, width: int, bias: bool) -> MatrixUnit:
    return MatrixUnit(
        name, f"{name}.weight", f"{name}.bias" if bias else None, height, width, range(height)
    )


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def two_layers() -> tuple[MatrixPart, MatrixPart, int]:
    """The first one transposed and with a bias, which lies behind the second one's weight."""
    first, second = unit("first", 3, 5, True), unit("second", 2, 30, False)
    places = torch.cat([torch.arange(12).view(4, 3).T, 72 + torch.arange(3)[:, None]], dim=1)
    one = matrix_part(first, places, one_position=True)
    other = matrix_part(second, 12 + torch.arange(60).view(2, 30), one_position=True)
    assert one is not None
    assert other is not None
    return one, other, 75


def filled(size: int, left: MatrixPart, right: MatrixPart, entries: torch.Tensor) -> torch.Tensor:
    """Lay entries ``[O, I, O', J]`` out in a matrix."""
    matrix = torch.zeros(size, size, dtype=torch.float64)
    flat = entries.reshape(left.places.numel(), right.places.numel())
    matrix[left.places.flatten()[:, None], right.places.flatten()] = flat
    return matrix


@pytest.mark.parametrize("left", [0, 1])
@pytest.mark.parametrize("moves", [False, True])
def test_between_two_layers(left: int, moves: bool) -> None:
    """Whichever of them comes first among the parameters, with few inputs or many."""
    *parts, size = two_layers()
    one, other = parts[left], parts[1 - left]
    curvature = normal(9, one.height, other.height)
    inputs, others = normal(9, one.width, seed=1), normal(9, other.width, seed=2)
    gradients, slopes = normal(9, other.height, seed=3), normal(9, one.height, other.width, seed=4)
    sums = OuterSums(torch.zeros(size, size, dtype=torch.float64), parts)
    for _ in range(2):
        motion = (gradients, slopes) if moves else None
        sums.add_between(left, 1 - left, curvature, inputs, others, motion)
    entries = torch.einsum("nop,ni,nj->oipj", curvature, inputs, others)
    if moves:
        entries += torch.einsum("ni,np,noj->oipj", inputs, gradients, slopes)
    expected = filled(size, one, other, 2 * entries)
    found = sums.finished()
    torch.testing.assert_close(found, expected + expected.T, rtol=1e-12, atol=1e-12)
    assert torch.equal(found, found.T)


@pytest.mark.parametrize("place", [0, 1])
def test_within_a_layer_and_between_two_uses_of_it(place: int) -> None:
    *parts, size = two_layers()
    part = parts[place]
    curvature = normal(9, part.height, part.height)
    symmetric = curvature + curvature.mT
    inputs, others = normal(9, part.width, seed=1), normal(9, part.width, seed=2)
    gradients, slopes = normal(9, part.height, seed=3), normal(9, part.height, part.width, seed=4)
    sums = OuterSums(torch.zeros(size, size, dtype=torch.float64), parts)
    sums.add_within(place, symmetric, inputs)
    sums.add_between(place, place, curvature, inputs, others, (gradients, slopes))
    entries = torch.einsum("nop,ni,nj->oipj", curvature, inputs, others)
    entries += torch.einsum("ni,np,noj->oipj", inputs, gradients, slopes)
    entries = entries + entries.permute(2, 3, 0, 1)
    entries += torch.einsum("nop,ni,nj->oipj", symmetric, inputs, inputs)
    found = sums.finished()
    expected = filled(size, part, part, entries)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(found, found.T)


def test_float32_factors_are_added_in_float64() -> None:
    *parts, size = two_layers()
    one, other = parts
    curvature, inputs, others = normal(9, 3, 2), normal(9, 5, seed=1), normal(9, 30, seed=2)
    sums = OuterSums(torch.zeros(size, size, dtype=torch.float64), parts)
    sums.add_between(0, 1, curvature.float(), inputs.float(), others.float())
    entries = torch.einsum("nop,ni,nj->oipj", curvature, inputs, others)
    expected = filled(size, one, other, entries)
    found = sums.finished()
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected + expected.T, rtol=1e-4, atol=1e-5)


class TestParts:
    def test_weight_or_bias_alone(self) -> None:
        places = torch.arange(12).view(3, 4)
        whole = unit("one", 3, 4, True)
        assert matrix_part(whole, torch.full((3, 4), -1), one_position=True) is None
        weight = places.clone()
        weight[:, 3] = -1
        bias = torch.full((3, 4), -1)
        bias[:, 3] = torch.arange(3)
        for given, columns in ((places, slice(0, 4)), (weight, slice(0, 3)), (bias, slice(3, 4))):
            part = matrix_part(whole, given, one_position=True)
            assert part is not None
            assert part.columns == columns
            assert sum(run.columns.stop - run.columns.start for run in part.runs) == part.width

    def test_runs(self) -> None:
        one, other, _ = two_layers()
        assert [(run.start, run.row_step, run.column_step) for run in one.runs] == [
            (0, 1, 3),
            (72, 1, 1),
        ]
        assert [(run.start, run.row_step, run.column_step) for run in other.runs] == [(12, 30, 1)]

    def test_entries_that_lie_unevenly_are_refused(self) -> None:
        places = torch.tensor([[0, 1, 2], [3, 4, 6]])
        part = matrix_part(unit("odd", 2, 3, False), places, one_position=True)
        assert part is not None
        text = 'the entries of "odd" do not lie evenly spaced among the parameters'
        with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
            _ = part.runs
