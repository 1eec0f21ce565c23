"""Matrices as pictures of a few hundred cells."""

from __future__ import annotations

import numpy as np
import torch

from hessinf.evaluation.matrix_picture import CELLS, picture


def test_of_a_small_matrix_are_its_magnitudes():
    matrix = torch.tensor([[1.0, -2.0], [-2.0, 0.0]], dtype=torch.float64)
    assert picture(matrix).tolist() == [[1, 2], [2, 0]]
    assert picture(matrix, torch.eye(2, dtype=torch.float64)).tolist() == [[0, 2], [2, 1]]


def test_energy_of_a_large_matrix_is_kept():
    size = 2 * CELLS + 131
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(size, size, generator=generator).double()
    found = picture(matrix).double()
    assert found.shape == (CELLS, CELLS)
    counts = torch.bincount(torch.arange(size) * CELLS // size).double()
    energy = float((found.square() * torch.outer(counts, counts)).sum())
    np.testing.assert_allclose(energy, float(matrix.square().sum()), rtol=1e-6)


def test_cells_lie_where_the_entries_do():
    size = 3 * CELLS
    matrix = torch.zeros(size, size, dtype=torch.float64)
    matrix[3 * 7 : 3 * 8, 3 * 400 : 3 * 401] = 5.0
    found = picture(matrix)
    assert found[7, 400] == 5
    assert int((found > 0).sum()) == 1
