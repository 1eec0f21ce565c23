from __future__ import annotations

import logging
import re
from typing import Any

import pytest
import torch
from torch import nn

from hessinf.curvature import fisher_columns
from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.fisher_columns import FEW_COLUMNS, FisherColumns, choose_fisher
from hessinf.data import Instance, as_dataset
from hessinf.data.batching import Batch, Batches, batches
from hessinf.gradients import FunctionalModel
from hessinf.models import (
    BinaryCrossEntropy,
    CallableObjective,
    CrossEntropy,
    LanguageModeling,
    MeanSquaredError,
    Objective,
)

NORMAL = torch.Generator().manual_seed(0)
LOGITS = torch.randn(5, 4, 3, generator=NORMAL, dtype=torch.float64)
TOKENS = torch.tensor([[0, 2, 1, -100], [1, 1, -100, -100], [2, 0, 1, 1], [-100] * 4, [0, 0, 2, 1]])
VALUES = torch.randn(5, 3, generator=NORMAL, dtype=torch.float64)

CASES: dict[str, tuple[Objective, torch.Tensor, torch.Tensor]] = {
    "classes": (CrossEntropy(), LOGITS[:, 0], torch.tensor([0, 2, 1, 1, 0])),
    "sequence": (CrossEntropy(), LOGITS, TOKENS),
    "mean over positions": (CrossEntropy(example_reduction="mean"), LOGITS, TOKENS),
    "weights": (CrossEntropy(weight=[1.0, 0.5, 2.0]), LOGITS, TOKENS),
    "smoothing": (CrossEntropy(label_smoothing=0.2), LOGITS, TOKENS),
    "next tokens": (LanguageModeling(), LOGITS, TOKENS),
    "labels": (BinaryCrossEntropy(), LOGITS[:, 0], (VALUES > 0).double()),
    "squares": (MeanSquaredError(), LOGITS[:, 0], VALUES),
    "sum of squares": (MeanSquaredError(example_reduction="sum"), LOGITS[:, 0], VALUES),
}


def batch_of(targets: torch.Tensor) -> Batch:
    return Batch(torch.zeros(len(targets), 1), targets, torch.arange(len(targets)))


def second_derivatives(
    objective: Objective, outputs: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """The Hessian of each example's loss in its outputs, by autograd: ``[B, F, F]``."""
    matrices = []
    for output, target in zip(outputs, targets, strict=True):

        def loss(flat: torch.Tensor, target: torch.Tensor = target) -> torch.Tensor:
            return objective.losses(flat.reshape(1, *outputs.shape[1:]), target[None])[0]

        matrices.append(torch.autograd.functional.hessian(loss, output.flatten()))
    return torch.stack(matrices)


def products(columns: torch.Tensor) -> torch.Tensor:
    """``Σ_k c_k c_kᵀ`` of each example: ``[K, B, ...]`` to ``[B, F, F]``."""
    flat = columns.flatten(2)  # [K, B, F]
    return torch.einsum("kbf,kbg->bfg", flat, flat)


def all_columns(columns: FisherColumns, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
    return torch.cat(list(columns(outputs, batch)))


class TestType2:
    @pytest.mark.parametrize("case", CASES)
    def test_products_are_the_hessian_in_the_outputs(self, case: str) -> None:
        objective, outputs, targets = CASES[case]
        found = all_columns(FisherColumns(objective, "type-2"), outputs, batch_of(targets))
        torch.testing.assert_close(
            products(found), second_derivatives(objective, outputs, targets), rtol=0, atol=1e-12
        )

    @pytest.mark.parametrize("at_once", [1, 2, 5, 100])
    def test_some_at_a_time_are_all_of_them(self, at_once: int) -> None:
        objective, outputs, targets = CASES["sequence"]
        columns = FisherColumns(objective, "type-2")
        parts = list(columns(outputs, batch_of(targets), at_once))
        assert max(len(part) for part in parts) <= at_once
        assert torch.equal(torch.cat(parts), all_columns(columns, outputs, batch_of(targets)))

    def test_positions_without_a_loss_cost_nothing(self) -> None:
        """Two columns, of three classes, for each of the longest example's two positions."""
        objective, outputs, targets = CASES["sequence"]
        found = all_columns(
            FisherColumns(objective, "type-2"), outputs[1:2], batch_of(targets[1:2])
        )
        assert len(found) == 2 * 2

    def test_where_nothing_has_a_loss_one_column_of_zeros_is_left(self) -> None:
        objective, outputs, targets = CASES["sequence"]
        found = all_columns(
            FisherColumns(objective, "type-2"), outputs[3:4], batch_of(targets[3:4])
        )
        assert found.shape == (1, 1, 4, 3)
        assert not bool(found.any())

    def test_an_objective_with_a_whole_square_root_will_do(self) -> None:
        class Whole(CrossEntropy):
            hessian_square_root_blocks = Objective.hessian_square_root_blocks

            def hessian_square_root(
                self, outputs: torch.Tensor, targets: torch.Tensor
            ) -> torch.Tensor:
                blocks = CrossEntropy.hessian_square_root_blocks(self, outputs, targets)
                return blocks[:, 0]  # [B, C, R]

        _, outputs, targets = CASES["classes"]
        columns = FisherColumns(Whole(), "type-2")
        parts = list(columns(outputs, batch_of(targets), at_once=2))
        assert [len(part) for part in parts] == [2, 1]
        expected = second_derivatives(CrossEntropy(), outputs, targets)
        torch.testing.assert_close(products(torch.cat(parts)), expected, rtol=0, atol=1e-12)


class TestEmpirical:
    @pytest.mark.parametrize("case", CASES)
    def test_the_column_is_the_gradient_at_the_true_target(self, case: str) -> None:
        objective, outputs, targets = CASES[case]
        found = all_columns(FisherColumns(objective, "empirical"), outputs, batch_of(targets))
        variable = outputs.clone().requires_grad_()
        objective.losses(variable, targets).sum().backward()
        assert variable.grad is not None
        assert torch.equal(found, variable.grad[None])


class TestMonteCarlo:
    @pytest.mark.parametrize("case", ["classes", "sequence", "next tokens", "labels", "squares"])
    def test_it_comes_to_the_hessian_as_one_over_the_root_of_samples(self, case: str) -> None:
        objective, outputs, targets = CASES[case]
        expected = second_derivatives(objective, outputs, targets)

        def error(samples: int) -> float:
            columns = FisherColumns(objective, "monte-carlo", samples)
            found = products(all_columns(columns, outputs, batch_of(targets)))
            return float((found - expected).norm() / expected.norm())

        few, many = error(32), error(2048)  # 64 times as many: 8 times as near
        assert many < 0.1
        assert 3 < few / many < 24

    def test_targets_depend_on_the_example_and_not_on_its_batch(self) -> None:
        objective, outputs, targets = CASES["sequence"]
        columns = FisherColumns(objective, "monte-carlo", 3)
        together = all_columns(columns, outputs, batch_of(targets))
        order = torch.tensor([4, 2, 0, 1, 3])
        shuffled = Batch(torch.zeros(5, 1), targets[order], order)
        assert torch.equal(all_columns(columns, outputs[order], shuffled), together[:, order])
        alone = Batch(torch.zeros(1, 1), targets[2:3], torch.tensor([2]))
        assert torch.equal(all_columns(columns, outputs[2:3], alone), together[:, 2:3])

    def test_padding_makes_no_difference(self) -> None:
        objective, outputs, targets = CASES["sequence"]
        columns = FisherColumns(objective, "monte-carlo", 3)
        padded = all_columns(columns, outputs, batch_of(targets))[:, 1]  # [M, 4, C]
        short = Batch(torch.zeros(1, 1), targets[1:2, :2], torch.tensor([1]))
        found = all_columns(columns, outputs[1:2, :2], short)[:, 0]  # [M, 2, C]
        assert torch.equal(found, padded[:, :2])
        assert not bool(padded[:, 2:].any())

    def test_the_seed_decides(self) -> None:
        objective, outputs, targets = CASES["classes"]
        one, same, other = (
            all_columns(
                FisherColumns(objective, "monte-carlo", 4, seed=seed), outputs, batch_of(targets)
            )
            for seed in (1, 1, 2)
        )
        assert torch.equal(one, same)
        assert not torch.equal(one, other)

    @pytest.mark.parametrize("at_once", [1, 2, 5])
    def test_some_at_a_time_are_all_of_them(self, at_once: int) -> None:
        objective, outputs, targets = CASES["classes"]
        columns = FisherColumns(objective, "monte-carlo", 5)
        parts = list(columns(outputs, batch_of(targets), at_once))
        assert [len(part) for part in parts] == {1: [1] * 5, 2: [2, 2, 1], 5: [5]}[at_once]
        assert torch.equal(torch.cat(parts), all_columns(columns, outputs, batch_of(targets)))

    def test_no_samples_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"^samples must be at least 1, found 0$"):
            FisherColumns(CrossEntropy(), "monte-carlo", 0)


class Fixed(nn.Module):
    """Gives outputs of a chosen shape for each example, whatever comes in."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(1, *shape))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.values.expand(len(inputs), *self.values.shape[1:])


def choose(fisher: Any, objective: Objective, outputs: int, targets: torch.Tensor) -> str:
    data = batches(as_dataset((torch.zeros(len(targets), 1), targets)), 2)
    return choose_fisher(fisher, objective, FunctionalModel(Fixed(outputs)), data)


def lengths(*counts: int) -> Batches:
    """Texts of given lengths whose outputs have two classes."""
    texts = [
        Instance(torch.zeros(count, 2), torch.ones(count, dtype=torch.int64), f"text {count}")
        for count in counts
    ]
    return batches(as_dataset(texts), 2)


def my_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs - targets).square().sum(dim=1)


class TestChoice:
    @pytest.fixture(autouse=True)
    def _any_work_is_much(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fisher_columns, "LITTLE_WORK", 0)

    def test_many_outputs_are_all_taken_where_that_is_little_work(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        labels = torch.tensor([0, 1, 2])
        work = 3 * (FEW_COLUMNS + 1) ** 2  # examples × columns × parameters
        monkeypatch.setattr(fisher_columns, "LITTLE_WORK", work)
        assert choose("auto", CrossEntropy(), FEW_COLUMNS + 1, labels) == "type-2"
        monkeypatch.setattr(fisher_columns, "LITTLE_WORK", work - 1)
        assert choose("auto", CrossEntropy(), FEW_COLUMNS + 1, labels) == "monte-carlo"

    def test_few_outputs_are_all_taken(self) -> None:
        labels = torch.tensor([0, 1, 2])
        assert choose("auto", CrossEntropy(), FEW_COLUMNS, labels) == "type-2"

    def test_many_outputs_are_sampled(self, caplog: pytest.LogCaptureFixture) -> None:
        labels = torch.tensor([0, 1, 2])
        with caplog.at_level(logging.INFO):
            assert choose("auto", CrossEntropy(), FEW_COLUMNS + 1, labels) == "monte-carlo"
        assert caplog.messages == [
            "the Fisher is sampled: an example has up to 65 output columns, more than 64; "
            'fisher "type-2" takes all of them'
        ]

    def test_many_outputs_without_a_likelihood_are_all_taken(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        objective = CrossEntropy(label_smoothing=0.1)
        assert choose("auto", objective, FEW_COLUMNS + 1, torch.tensor([0, 1, 2])) == "type-2"
        assert caplog.messages == [
            'the objective "cross-entropy" is no negative log-likelihood, so all 65 output columns '
            "of an example go back through the model one by one, which takes long"
        ]

    @pytest.mark.parametrize(("longest", "kind"), [(32, "type-2"), (33, "monte-carlo")])
    def test_positions_count_those_of_the_longest_example(self, longest: int, kind: str) -> None:
        data = lengths(3, longest, 5)
        found = choose_fisher("auto", CrossEntropy(), FunctionalModel(nn.Linear(2, 2)), data)
        assert found == kind

    @pytest.mark.parametrize("kind", ["type-2", "monte-carlo", "empirical"])
    def test_what_is_asked_for_is_done(self, kind: str) -> None:
        assert choose(kind, CrossEntropy(), 500, torch.tensor([0, 1, 2])) == kind

    @pytest.mark.parametrize(
        "objective",
        [
            CrossEntropy(weight=[1.0, 2.0]),
            CrossEntropy(label_smoothing=0.1),
            CrossEntropy(example_reduction="mean"),
        ],
    )
    def test_sampling_without_a_likelihood_is_refused(self, objective: Objective) -> None:
        message = (
            'the objective "cross-entropy" is no negative log-likelihood as it is configured '
            "(class weights, label smoothing and means over positions break that), so a Monte-Carlo"
            ' Fisher would not be its Gauss-Newton matrix; use fisher "type-2", which is exact for '
            'it, or "empirical"'
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(message)}$"):
            choose("monte-carlo", objective, 2, torch.tensor([0, 1]))

    def test_a_loss_function_cannot_be_sampled(self) -> None:
        message = (
            'the loss function "my_loss" cannot sample targets, which the Fisher "monte-carlo" '
            'needs; use fisher "empirical", which needs gradients only, or give the objective a '
            "method `sample_targets`"
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(message)}$"):
            choose("monte-carlo", CallableObjective(my_loss), 2, torch.zeros(3, 2))

    @pytest.mark.parametrize("fisher", ["auto", "type-2"])
    def test_a_loss_function_has_no_square_root(self, fisher: str) -> None:
        message = (
            'the loss function "my_loss" gives no square root of its Hessian in the outputs, which '
            'the Fisher "type-2" needs, and no likelihood to sample from; use fisher "empirical", '
            "which needs gradients only, or give the objective a method "
            "`hessian_square_root_blocks`"
        )
        with pytest.raises(CurvatureError, match=f"^{re.escape(message)}$"):
            choose(fisher, CallableObjective(my_loss), 2, torch.zeros(3, 2))

    def test_a_loss_function_has_an_empirical_fisher(self) -> None:
        assert choose("empirical", CallableObjective(my_loss), 2, torch.zeros(3, 2)) == "empirical"

    def test_a_likelihood_without_a_square_root_is_sampled(self) -> None:
        class Sampled(CrossEntropy):
            hessian_square_root_blocks = Objective.hessian_square_root_blocks

        assert choose("auto", Sampled(), 3, torch.tensor([0, 1, 2])) == "monte-carlo"
        message = 'which the Fisher "type-2" needs; use fisher "empirical"'
        with pytest.raises(CurvatureError, match=re.escape(message)):
            choose("type-2", Sampled(), 3, torch.tensor([0, 1, 2]))
