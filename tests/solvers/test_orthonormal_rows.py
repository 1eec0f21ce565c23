from __future__ import annotations

import pytest
import torch

from hessinf.solvers.orthonormal_rows import orthonormal_rows


def rows(count: int, size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("count", "size"), [(1, 4), (3, 9), (9, 9), (12, 5)])
def test_a_basis_of_the_span(count: int, size: int) -> None:
    given = rows(count, size)
    found = orthonormal_rows(given)
    assert len(found) == min(count, size)
    torch.testing.assert_close(found @ found.T, torch.eye(len(found), dtype=torch.float64))
    torch.testing.assert_close(given @ found.T @ found, given)


def test_what_is_dependent_is_left_out_whatever_its_size() -> None:
    given = rows(4, 10)
    given = torch.cat([given, 1e-12 * given[:1], given[1:2] + 1e9 * given[2:3], 0 * given[:1]])
    given[3] *= 1e-15
    found = orthonormal_rows(given)
    assert len(found) == 4
    torch.testing.assert_close(given @ found.T @ found, given)


def test_nothing_but_zeros() -> None:
    assert orthonormal_rows(torch.zeros(3, 5)).shape == (0, 5)
