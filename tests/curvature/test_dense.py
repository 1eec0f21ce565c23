"""Dense curvature, row by row."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from hessinf.curvature import CurvatureError
from hessinf.curvature.dense import dense_curvature, require_memory
from hessinf.data.batching import Batch
from hessinf.gradients import CurvatureProducts, FunctionalModel, HessianProducts
from hessinf.gradients.linearization import Linearization
from hessinf.models import MeanSquaredError


def regression(dtype: torch.dtype = torch.float64) -> tuple[FunctionalModel, Batch]:
    torch.manual_seed(0)
    batch = Batch(torch.randn(9, 4), torch.randn(9, 1), torch.arange(9))
    return FunctionalModel(nn.Linear(4, 1), dtype=dtype), batch.to("cpu", dtype)


@pytest.mark.parametrize("rows_at_once", [1, 2, 5, 100])
def test_least_squares_in_closed_form(rows_at_once: int) -> None:
    model, batch = regression()
    assert isinstance(batch.inputs, torch.Tensor)
    products = HessianProducts(model, MeanSquaredError(), [batch], weight_decay=0.2)
    found = dense_curvature(products, rows_at_once, "curvature")
    design = torch.cat([batch.inputs, torch.ones(9, 1).double()], dim=1)
    expected = 2 * design.T @ design / 9 + 0.2 * torch.eye(5).double()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_float32_models_give_symmetric_float64() -> None:
    model, batch = regression(torch.float32)
    found = dense_curvature(HessianProducts(model, MeanSquaredError(), [batch]), 3, "curvature")
    assert found.dtype == torch.float64
    assert torch.equal(found, found.T)


class Fixed(CurvatureProducts):
    """A matrix that stands for a curvature."""

    def __init__(self, matrix: torch.Tensor) -> None:
        super().__init__(regression()[0], MeanSquaredError(), [])
        self.matrix = matrix.double()

    def _linearize(self, batch: Batch) -> Linearization:
        raise NotImplementedError

    def _forward(self, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def _reverse(self, batch: Batch, vectors: torch.Tensor, together: bool) -> torch.Tensor:
        raise NotImplementedError

    def products(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors @ self.matrix


def test_asymmetry() -> None:
    matrix = torch.eye(5)
    matrix[1, 2] = 0.25
    text = (
        "exact: the matrix is not symmetric (entries differ by 0.25, the largest is 1); does the "
        "model give other outputs from pass to pass?"
    )
    with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
        dense_curvature(Fixed(matrix), 2, "exact")


def test_not_finite() -> None:
    matrix = torch.eye(5)
    matrix[3, 3] = torch.inf
    text = (
        "exact: row 0 of the curvature is not finite; likely causes: NaN or huge values in the "
        "training data, a model whose training diverged, or an activation without a finite second "
        "derivative"
    )
    with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
        dense_curvature(Fixed(matrix), 2, "exact")


def test_memory() -> None:
    require_memory({"all": 1000}, 1.0, 4)
    text = (
        "a dense matrix of 100,000 × 100,000 parameters needs 298.0 GiB to form and factorise, "
        "memory_limit is 4 GiB, which is enough for 11,585 parameters; freeze some with "
        'params_to_freeze, raise memory_limit, or use "simple-influence", which forms no matrix'
    )
    with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
        require_memory({"all": 100_000}, 4.0, 4)
    require_memory({"all": 11_585}, 4.0, 4)
    require_memory({"all": 15_446}, 4.0, 2.25)
    with pytest.raises(CurvatureError):
        require_memory({"all": 11_586}, 4.0, 4)
    with pytest.raises(CurvatureError, match="enough for 15,446 parameters"):
        require_memory({"all": 15_447}, 4.0, 2.25)


def test_memory_of_blocks() -> None:
    sizes = {"small": 3_000, "large": 10_000, "middle": 5_000}
    # What is kept of each, and three more of the largest: 434e6 numbers of 8 bytes.
    require_memory(sizes, 3.24, 4)
    text = (
        "the dense matrices of 3 blocks need 3.2 GiB to form and factorise, memory_limit is 3.2 "
        'GiB; the largest, "large", has 10,000 parameters; make blocks smaller, freeze some with '
        'params_to_freeze, raise memory_limit, or use "simple-influence", which forms no matrix'
    )
    with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
        require_memory(sizes, 3.2, 4)
