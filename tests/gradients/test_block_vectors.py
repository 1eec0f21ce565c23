"""Vectors whose numbers lie parameter by parameter."""

from __future__ import annotations

import torch

from hessinf.gradients import ParameterLayout
from hessinf.gradients.block_vectors import BlockVectors

LAYOUT = ParameterLayout({"a": torch.Size([3, 2]), "scalar": torch.Size([]), "b": torch.Size([4])})


def rows(count: int) -> torch.Tensor:
    return torch.arange(count * LAYOUT.size, dtype=torch.float64).view(count, LAYOUT.size)


def test_blocks_are_the_parameters_of_all_vectors() -> None:
    given = rows(5)
    vectors = BlockVectors.of_rows(given, LAYOUT)
    assert vectors.count == 5
    for name, part in LAYOUT.unflatten(given).items():
        assert torch.equal(vectors.blocks[name], part), name
        assert vectors.blocks[name].is_contiguous()
    assert torch.equal(vectors.rows(), given)


def test_blocks_are_views_of_the_numbers() -> None:
    vectors = BlockVectors.of_rows(rows(2), LAYOUT)
    vectors.numbers.mul_(2)
    assert torch.equal(vectors.rows(), 2 * rows(2))
    assert torch.equal(vectors.like(vectors.numbers + 1).rows(), 2 * rows(2) + 1)
    assert not vectors.zeros().numbers.any()


def test_rows_in_another_precision() -> None:
    vectors = BlockVectors.of_rows(rows(3).float(), LAYOUT)
    total = torch.ones(3, LAYOUT.size, dtype=torch.float64)
    vectors.add_to(total)
    assert torch.equal(total, rows(3) + 1)
    out = torch.empty(3, LAYOUT.size, dtype=torch.float64)
    assert vectors.rows(out) is out
    assert torch.equal(out, rows(3))


def test_norms() -> None:
    torch.testing.assert_close(
        BlockVectors.of_rows(rows(4), LAYOUT).norms(), rows(4).norm(dim=1), rtol=1e-14, atol=0
    )


def test_no_vectors() -> None:
    vectors = BlockVectors.of_rows(rows(0), LAYOUT)
    assert vectors.count == 0
    assert vectors.rows().shape == (0, LAYOUT.size)
