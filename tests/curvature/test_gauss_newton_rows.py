"""Rows of the Gauss-Newton matrix, example by example."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from hessinf.curvature.gauss_newton_rows import GaussNewtonRows
from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel, GradientError
from hessinf.models import CrossEntropy, MeanSquaredError


def batch_of(inputs: torch.Tensor, targets: torch.Tensor) -> Batch:
    return Batch(inputs, targets, torch.arange(len(targets)))


def sequence_case() -> tuple[nn.Module, Batch]:
    """Outputs at three positions, of which some are ignored."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    targets = torch.tensor([[0, 1, 2], [-100, 1, -100], [2, -100, 1], [-100, -100, -100]])
    return module, batch_of(torch.randn(4, 3, 2).double(), targets)


def expected_sums(module: nn.Module, batch: Batch) -> torch.Tensor:
    """``Jᵀ H J`` of each example, ``[B, P, P]``, by plain automatic differentiation."""
    parameters = list(module.parameters())
    found = []
    assert isinstance(batch.inputs, torch.Tensor)
    for one, target in zip(batch.inputs, batch.targets, strict=True):
        outputs = module(one[None])
        rows = [
            torch.cat([x.flatten() for x in torch.autograd.grad(y, parameters, retain_graph=True)])
            for y in outputs.flatten()
        ]
        shares = outputs[0].detach().softmax(-1) * (target != -100)[:, None]  # [S, C]
        blocks = torch.diag_embed(shares) - shares[:, :, None] * shares[:, None]
        jacobian = torch.stack(rows)
        found.append(jacobian.T @ torch.block_diag(*blocks) @ jacobian)
    return torch.stack(found)


class TestRows:
    @pytest.mark.parametrize("numbers", [1, 40, 100, 10_000])
    def test_their_outer_products(self, numbers: int) -> None:
        """Whatever there is room for at once; of one number, rows are computed one by one."""
        module, batch = sequence_case()
        rows = GaussNewtonRows(FunctionalModel(module), CrossEntropy(), numbers)
        found = rows(batch)
        assert found.shape == (4, 6, 27)
        expected = expected_sums(module, batch)
        torch.testing.assert_close(found.mT @ found, expected, rtol=1e-10, atol=1e-13)
        assert rows.counts(batch).tolist() == [6, 2, 4, 0]

    @pytest.mark.parametrize("numbers", [1, 40, 100, 10_000])
    def test_pieces_have_places(self, numbers: int) -> None:
        module, batch = sequence_case()
        rows = GaussNewtonRows(FunctionalModel(module), CrossEntropy(), numbers)
        whole = GaussNewtonRows(FunctionalModel(module), CrossEntropy())(batch)  # [B, R, P]
        packed = torch.cat([own[:count] for own, count in zip(whole, [6, 2, 4, 0], strict=True)])
        found = torch.full_like(packed, torch.nan)
        for piece, places in rows.pieces(batch):
            found[places] = piece
        torch.testing.assert_close(found, packed, rtol=1e-12, atol=1e-14)

    def test_models_that_branch_on_values(self) -> None:
        """They go one example at a time, and give the same rows."""

        class Branching(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.scale = nn.Parameter(torch.tensor([0.3, -0.2]))

            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                rows = [x * self.scale if x[0] > 0 else x.sin() * self.scale**2 for x in inputs]
                return torch.stack(rows)

        torch.manual_seed(0)
        batch = batch_of(torch.randn(5, 2).double(), torch.zeros(5, 2).double())
        found = GaussNewtonRows(FunctionalModel(Branching().double()), MeanSquaredError())(batch)
        inputs = batch.inputs
        assert isinstance(inputs, torch.Tensor)
        scale = Branching().scale.double().detach()
        slopes = torch.where(inputs[:, :1] > 0, inputs, 2 * inputs.sin() * scale)
        torch.testing.assert_close(found, torch.diag_embed(slopes), rtol=1e-12, atol=1e-14)

    def test_rows_that_are_not_finite(self) -> None:
        module, batch = sequence_case()
        assert isinstance(batch.inputs, torch.Tensor)
        batch.inputs[2, 1, 0] = torch.nan
        rows = GaussNewtonRows(FunctionalModel(module), CrossEntropy())
        text = (
            "the Gauss-Newton rows of example 2 are not finite; likely causes: NaN or huge values "
            "among its inputs, a model whose training diverged, or a square root or logarithm at "
            "zero"
        )
        with pytest.raises(GradientError, match=f"^{re.escape(text)}$"):
            rows(batch)
