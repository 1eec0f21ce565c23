"""Square roots of output Hessians, column by column, against second derivatives by autograd."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from hessinf.curvature import CurvatureError
from hessinf.curvature.gauss_newton_columns import OutputColumns
from hessinf.models import (
    BinaryCrossEntropy,
    CallableObjective,
    CrossEntropy,
    LanguageModeling,
    MeanSquaredError,
    Objective,
)

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def hessians(loss: Loss, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Second derivatives of each example's loss in its outputs, ``[B, n, n]``."""
    return torch.stack(
        [
            torch.autograd.functional.hessian(lambda f, y=target: loss(f, y), one).reshape(
                one.numel(), one.numel()
            )
            for one, target in zip(outputs, targets, strict=True)
        ]
    )


def sums(columns: OutputColumns) -> torch.Tensor:
    found = columns.cotangents(0, columns.most)  # [K, B, ...]
    flat = found.reshape(*found.shape[:2], -1)  # [K, B, n]
    return torch.einsum("kbi,kbj->bij", flat, flat)


def tokens(outputs: torch.Tensor, targets: torch.Tensor, **options: object) -> torch.Tensor:
    return functional.cross_entropy(outputs, targets, reduction="sum", **options)  # type: ignore[arg-type]


WEIGHT = [0.5, 2.0, 0.0, 1.5]

CASES: dict[str, tuple[Objective, Loss, torch.Tensor, torch.Tensor, list[int]]] = {
    "softmax": (
        CrossEntropy(),
        tokens,
        3 * normal(5, 4),
        torch.tensor([0, 3, 1, 2, 2]),
        [3] * 5,
    ),
    "class weights, one of them zero": (
        CrossEntropy(weight=WEIGHT),
        lambda f, y: tokens(f, y, weight=torch.tensor(WEIGHT).double()),
        normal(4, 4),
        torch.tensor([0, 3, 2, 1]),
        [3, 3, 0, 3],
    ),
    "label smoothing": (
        CrossEntropy(label_smoothing=0.2),
        lambda f, y: tokens(f, y, label_smoothing=0.2),
        normal(3, 4),
        torch.tensor([1, 3, 2]),
        [3] * 3,
    ),
    "positions, some ignored": (
        CrossEntropy(),
        tokens,
        normal(4, 3, 2),
        torch.tensor([[0, 1, -100], [-100, -100, -100], [1, 1, 0], [-100, 0, -100]]),
        [2, 0, 3, 1],
    ),
    "mean over positions": (
        CrossEntropy(example_reduction="mean"),
        lambda f, y: tokens(f, y) / (y != -100).sum(),
        normal(2, 3, 3),
        torch.tensor([[0, 1, -100], [2, 1, 0]]),
        [4, 6],
    ),
    "next tokens": (
        LanguageModeling(),
        lambda f, y: tokens(f[:-1], y[1:]),
        normal(2, 4, 3),
        torch.tensor([[0, 1, 2, -100], [2, 1, 0, 1]]),
        [4, 6],
    ),
    "squares of several values": (
        MeanSquaredError(),
        functional.mse_loss,
        normal(3, 2),
        normal(3, 2, seed=1),
        [2] * 3,
    ),
    "one value without an axis": (
        MeanSquaredError(),
        functional.mse_loss,
        normal(3),
        normal(3, seed=1),
        [1] * 3,
    ),
    "binary": (
        BinaryCrossEntropy(),
        lambda f, y: functional.binary_cross_entropy_with_logits(f, y.double(), reduction="sum"),
        normal(3, 1),
        torch.tensor([[0], [1], [1]]),
        [1] * 3,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
class TestColumns:
    def test_their_outer_products_make_up_the_hessian(
        self, case: tuple[Objective, Loss, torch.Tensor, torch.Tensor, list[int]]
    ) -> None:
        objective, loss, outputs, targets, counts = case
        columns = OutputColumns(objective, outputs, targets)
        expected = hessians(loss, outputs, targets)
        torch.testing.assert_close(sums(columns), expected, rtol=1e-10, atol=1e-12)
        assert columns.counts.tolist() == counts
        assert columns.most == max(counts)

    def test_zeros_stand_at_the_end_only(
        self, case: tuple[Objective, Loss, torch.Tensor, torch.Tensor, list[int]]
    ) -> None:
        objective, _, outputs, targets, _ = case
        columns = OutputColumns(objective, outputs, targets)
        cotangents = columns.cotangents(0, columns.most)  # [K, B, ...]
        flat = cotangents.reshape(*cotangents.shape[:2], -1)  # [K, B, n]
        present = flat.ne(0).any(dim=2).T  # [B, K]
        assert torch.equal(present, torch.arange(columns.most) < columns.counts[:, None])

    def test_pieces_are_parts_of_the_whole(
        self, case: tuple[Objective, Loss, torch.Tensor, torch.Tensor, list[int]]
    ) -> None:
        objective, _, outputs, targets, _ = case
        columns = OutputColumns(objective, outputs, targets)
        whole = columns.cotangents(0, columns.most)
        parts = [columns.cotangents(k, k + 1) for k in range(columns.most)]
        assert torch.equal(torch.cat(parts), whole)
        some = columns.select(slice(1, 3))
        assert torch.equal(some.cotangents(0, some.most), whole[: some.most, 1:3])
        alone = OutputColumns(objective, outputs[1:2], targets[1:2])
        torch.testing.assert_close(
            alone.cotangents(0, alone.most), whole[: alone.most, 1:2], rtol=1e-12, atol=1e-14
        )


def test_a_confident_softmax_keeps_its_small_curvature() -> None:
    """Second derivatives of 1e-9 are right in relative terms, and no column is made of rounding."""
    outputs = torch.tensor([[20.0, 0.0, -1.0], [0.0, 40.0, 1.0]], dtype=torch.float64)
    columns = OutputColumns(CrossEntropy(), outputs, torch.tensor([0, 1]))
    assert columns.counts.tolist() == [2, 2]
    probabilities = outputs.softmax(1)
    others = torch.tensor([[0, 1, 1], [1, 0, 1]]).double()
    found = sums(columns).diagonal(dim1=1, dim2=2)
    share = torch.where(others == 0, (probabilities * others).sum(1, keepdim=True), probabilities)
    expected = share * torch.where(others == 0, probabilities, 1 - probabilities)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_many_classes_are_left_as_they_are() -> None:
    outputs = normal(2, 70)
    columns = OutputColumns(CrossEntropy(), outputs, torch.tensor([0, 69]))
    assert columns.counts.tolist() == [70, 70]
    expected = hessians(tokens, outputs, torch.tensor([0, 69]))
    torch.testing.assert_close(sums(columns), expected, rtol=1e-10, atol=1e-12)


def test_an_objective_that_gives_the_whole_square_root() -> None:
    class Coupled(MeanSquaredError):
        """``(f₀ - f₁)²``, whose square root has one column for two outputs."""

        hessian_square_root_blocks = Objective.hessian_square_root_blocks

        def hessian_square_root(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            del targets
            column = torch.tensor([2.0, -2.0], dtype=outputs.dtype) / 2**0.5
            return column[None, :, None].expand(len(outputs), 2, 1)

    outputs = normal(3, 2)
    columns = OutputColumns(Coupled(), outputs, outputs)
    expected = torch.tensor([[2.0, -2.0], [-2.0, 2.0]], dtype=torch.float64).expand(3, 2, 2)
    torch.testing.assert_close(sums(columns), expected, rtol=1e-12, atol=1e-13)


def test_a_loss_function_is_refused_by_name() -> None:
    def focal(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return outputs.sum(1) * targets

    text = (
        'the loss function "focal" has no square root of its output Hessian, which the '
        'Gauss-Newton matrix is made of; use "exact" or "block-hessian", which need derivatives of '
        "the loss only, or give the objective a method `hessian_square_root_blocks`"
    )
    with pytest.raises(CurvatureError, match=f"^{re.escape(text)}$"):
        OutputColumns(CallableObjective(focal), normal(2, 3), torch.zeros(2))
