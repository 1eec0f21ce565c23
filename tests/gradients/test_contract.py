"""Each violation of what influence rests on is named before a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.data import Dataset, Instance
from hessinf.data.batching import Batch, batches
from hessinf.gradients import FunctionalModel, GradientError
from hessinf.gradients.activation_memory import activation_bytes
from hessinf.gradients.contract import check_contract, telling_examples
from hessinf.interpreters import Exact
from hessinf.models import CrossEntropy, Objective


class Loss(CrossEntropy):
    """A loss of one's own, checked by nobody else."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.function(outputs, targets)


def batch() -> Batch:
    torch.manual_seed(0)
    return Batch(torch.randn(6, 3), torch.tensor([0, 1, 1, 0, 1, 0]), torch.arange(20, 26))


def check(module: nn.Module, objective: Objective | None = None) -> None:
    model = FunctionalModel(module)
    with model.evaluating():
        check_contract(model, objective or CrossEntropy(), batch())


class OfModule(nn.Module):
    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.last = nn.Linear(3, 2)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.last(x))


def test_every_kind_of_model_keeps_it(case: Any) -> None:
    model = case.model
    with model.evaluating():
        check_contract(model, case.objective, case.batch)


def test_dropout_and_batch_norm_keep_it_in_evaluation() -> None:
    check(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)))


@pytest.mark.parametrize(("reduction", "shape"), [("mean", "[]"), ("sum", "[]")])
def test_a_loss_that_adds_up_the_batch(reduction: str, shape: str) -> None:
    text = (
        f"the objective gives a tensor of shape {shape} for 4 examples; expected one loss an "
        "example, shape [4] (no mean or sum over the batch)"
    )
    with pytest.raises(GradientError, match=f"^{re.escape(text)}$"):
        check(
            nn.Linear(3, 2), Loss(lambda f, y: functional.cross_entropy(f, y, reduction=reduction))
        )


def test_a_loss_a_class() -> None:
    with pytest.raises(GradientError, match=re.escape("a tensor of shape [4, 2] for 4 examples;")):
        check(nn.Linear(3, 2), Loss(lambda f, y: f))


BESIDE = (
    r"^the loss of training example 2\d depends on the other examples of its batch \(\S+ alone, "
    r"\S+ beside others\); does the model or the loss normalise over the batch, or look at padding"
    r"\?$"
)


def test_a_loss_that_divides_by_the_batch() -> None:
    def losses(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(outputs, targets, reduction="none") / len(outputs)

    with pytest.raises(GradientError, match=BESIDE):
        check(nn.Linear(3, 2), Loss(losses))


def test_a_model_that_normalises_over_the_batch() -> None:
    with pytest.raises(GradientError, match=BESIDE):
        check(OfModule(lambda x: x - x.mean(0)))


def test_dropout_that_does_not_listen_to_eval() -> None:
    text = (
        r"^the loss of training example 2\d differs between two passes in evaluation mode \(\S+, "
        r"then \S+\); does the model draw random numbers, or keep state, when it is in eval\(\)\?$"
    )
    with pytest.raises(GradientError, match=text):
        check(OfModule(lambda x: functional.dropout(x, 0.5, training=True)))


def test_a_model_that_keeps_state() -> None:
    class Moving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(3, 2)
            self.register_buffer("mean", torch.zeros(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.last(x)
            self.mean += x.detach().mean(0)
            return x - self.mean * torch.tensor([1.0, 0.0])

    with pytest.raises(GradientError, match="differs between two passes in evaluation mode"):
        check(Moving())


def test_padding_that_counts_is_noticed_when_examples_are_read_alone() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(5, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.embedding(x).mean(1)

    examples = [
        Instance(torch.ones(n, dtype=torch.int64), torch.tensor(n % 2), str(n), {})
        for n in (3, 1, 2)
    ]
    data = batches(Dataset(examples), 4)
    model = FunctionalModel(Mean())
    first = next(iter(data))
    check_contract(model, CrossEntropy(), first)  # as padded as beside the others
    with pytest.raises(
        GradientError, match=r"^the loss of training example 1 depends on the other examples of its"
    ):
        check_contract(model, CrossEntropy(), first, data)


def ragged(lengths: list[int]) -> Dataset:
    return Dataset(
        [
            Instance(torch.ones(length, dtype=torch.int64), torch.tensor(place % 2), str(place), {})
            for place, length in enumerate(lengths)
        ]
    )


@pytest.mark.parametrize(
    ("lengths", "places"),
    [
        ([3, 3, 3, 3, 3, 3], [0, 1, 2, 3]),
        ([3, 3], [0, 1]),
        ([3, 3, 3, 3, 3, 1, 3, 9, 9], [0, 1, 5, 7]),
        ([1, 9, 3, 3, 3], [0, 1, 2, 3]),
        ([3, 3, 3, 3, 1], [0, 1, 2, 4]),
    ],
)
def test_the_shortest_and_the_longest_tell_most(lengths: list[int], places: list[int]) -> None:
    assert telling_examples(ragged(lengths)).tolist() == places


def test_columns_have_one_length() -> None:
    dataset = Dataset.from_columns(torch.zeros(9, 2), torch.arange(9) % 2)
    assert telling_examples(dataset).tolist() == [0, 1, 2, 3]


def test_a_mask_that_padding_makes_true_is_noticed_however_late_it_comes() -> None:
    """Masks are padded with False: one that is True where nothing is to be seen is padded wrong."""

    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(5, 2)

        def forward(self, tokens: torch.Tensor, key_padding_mask: torch.Tensor) -> torch.Tensor:
            kept = ~key_padding_mask[..., None]
            return (self.embedding(tokens) * kept).sum(1) / kept.sum(1)

    examples = [
        Instance(
            {
                "tokens": torch.ones(length, dtype=torch.int64),
                "key_padding_mask": torch.zeros(length, dtype=torch.bool),
            },
            torch.tensor(place % 2),
            str(place),
        )
        for place, length in enumerate([3, 3, 3, 3, 3, 3, 2])
    ]
    with pytest.raises(
        GradientError, match=r"^the loss of training example 6 depends on the other"
    ):
        Exact(Masked(), examples).fit()


def test_losses_that_are_not_finite_are_left_to_the_gradients() -> None:
    check(nn.Linear(3, 2), Loss(lambda f, y: f[:, 0] * torch.nan))


def test_activation_bytes() -> None:
    module = nn.Sequential(nn.Linear(3, 50), nn.Tanh(), nn.Linear(50, 2))
    objective = CrossEntropy()
    found = activation_bytes(FunctionalModel(module), objective, batch())
    hidden = 50 * 4
    assert hidden <= found <= 2 * hidden  # what tanh gives is kept; weights do not count
