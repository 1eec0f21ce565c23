"""Factorisations in the place of one triangle."""

from __future__ import annotations

import pytest
import torch

from hessinf.curvature import cholesky
from hessinf.curvature.indefinite import factorize_indefinite


def symmetric(size: int, *, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return (matrix + matrix.T) / 2


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 50])
@pytest.mark.parametrize("panel", [1, 4, 8, 64])
def test_cholesky(size: int, panel: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cholesky, "PANEL", panel)
    root = symmetric(size)
    matrix = root @ root.T + 0.1 * torch.eye(size).double()
    packed = matrix.clone()
    assert not cholesky.shows_indefinite(matrix)
    assert cholesky.factorize_in_place(packed)
    torch.testing.assert_close(packed.tril(), torch.linalg.cholesky(matrix), rtol=1e-11, atol=1e-12)
    assert torch.equal(packed.triu(1), matrix.triu(1))
    packed.diagonal().copy_(matrix.diagonal())
    cholesky.mirror_upper(packed)
    assert torch.equal(packed, packed.T)
    assert torch.equal(packed.triu(), matrix.triu())


@pytest.mark.parametrize("panel", [1, 4, 8, 64])
def test_cholesky_fails_and_keeps_the_upper_triangle(
    panel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cholesky, "PANEL", panel)
    root = symmetric(20)
    matrix = root @ root.T + torch.eye(20).double()
    matrix[13, 13] = -1.0
    packed = matrix.clone()
    assert not cholesky.factorize_in_place(packed)
    assert torch.equal(packed.triu(1), matrix.triu(1))


def test_a_few_rows_show_that_a_matrix_is_indefinite() -> None:
    matrix = torch.eye(30).double()
    matrix[5, 5] = -1.0
    assert not cholesky.shows_indefinite(matrix)  # row 5 is not among those looked at
    matrix[9, 18] = matrix[18, 9] = 1.5
    assert cholesky.shows_indefinite(matrix)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 37, 60])
@pytest.mark.parametrize("zeros", [0, 2, 9])
@pytest.mark.parametrize("panel", [1, 8, 64])
def test_indefinite(size: int, zeros: int, panel: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hessinf.curvature.indefinite.PANEL", panel)
    matrix = symmetric(size, seed=size)
    count = min(zeros, size // 2)
    matrix[:count, :count] = 0.0  # zeros on the diagonal make blocks of two rows
    packed = matrix.clone()
    found = factorize_indefinite(packed)
    assert found is not None
    assert found.packed is packed
    if zeros == 9 and size > 10:
        assert int((found.below != 0).sum()) > 1
    assert torch.equal(packed.triu(1), matrix.triu(1))
    lower = packed.tril(-1) + torch.eye(size).double()
    middle = torch.diag(packed.diagonal())
    middle += torch.diag(found.below, -1) + torch.diag(found.below, 1)
    permuted = matrix[found.permutation][:, found.permutation]
    torch.testing.assert_close(lower @ middle @ lower.T, permuted, rtol=1e-11, atol=1e-12)
    expected = torch.linalg.eigvalsh(middle)
    torch.testing.assert_close(found.eigenvalues.sort().values, expected, rtol=1e-11, atol=1e-12)
    vectors = symmetric(size, seed=99)[: max(size // 2, 1)]
    torch.testing.assert_close(found.solve(vectors) @ matrix, vectors, rtol=1e-8, atol=1e-9)


def test_singular() -> None:
    assert factorize_indefinite(torch.zeros(4, 4).double()) is None
