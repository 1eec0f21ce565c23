"""Binary cross-entropy: losses, second derivatives, samples and checks."""

from __future__ import annotations

import re

import pytest
import torch
from torch.nn import functional

from hessinf.data import Dataset
from hessinf.models import BinaryCrossEntropy, ObjectiveError

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = 3 * torch.randn(6, 3, dtype=torch.float64, generator=GENERATOR)
LABELS = (torch.rand(6, 3, generator=GENERATOR) > 0.5).long()
CASES = [
    pytest.param(LOGITS[:, 0], LABELS[:, 0], None, id="scalars"),
    pytest.param(LOGITS[:, :1], LABELS[:, 0], None, id="one column"),
    pytest.param(LOGITS[:, :1], LABELS[:, 0], [3.0], id="one column, weighted"),
    pytest.param(LOGITS, LABELS, None, id="labels"),
    pytest.param(LOGITS, LABELS.double() * 0.8, [3.0, 0.5, 0.0], id="labels, weighted, soft"),
]


@pytest.mark.parametrize(("outputs", "targets", "pos_weight"), CASES)
def test_square_root_is_exact(outputs, targets, pos_weight, check_square_root):
    check_square_root(BinaryCrossEntropy(pos_weight), outputs, targets)


@pytest.mark.parametrize(("outputs", "targets", "pos_weight"), CASES)
def test_transforms(outputs, targets, pos_weight, check_transforms):
    check_transforms(BinaryCrossEntropy(pos_weight), outputs, targets)


def test_losses_sum_pytorchs_terms():
    terms = functional.binary_cross_entropy_with_logits(LOGITS, LABELS.double(), reduction="none")
    torch.testing.assert_close(BinaryCrossEntropy().losses(LOGITS, LABELS), terms.sum(1))


def test_square_root_does_not_overflow_where_the_model_is_sure():
    outputs = torch.tensor([[80.0], [-80.0]])
    root = BinaryCrossEntropy().hessian_square_root(outputs, torch.tensor([1, 0]))
    assert root.shape == (2, 1, 1)
    assert bool((root > 0).all())


def test_sampled_targets_follow_the_sigmoid():
    outputs = torch.tensor([0.5]).expand(40_000, 1)
    targets = torch.zeros(40_000, dtype=torch.int64)
    sampled = BinaryCrossEntropy().sample_targets(
        outputs, targets, torch.Generator().manual_seed(0)
    )
    assert sampled.shape == targets.shape
    assert sampled.dtype == torch.int64
    assert float(sampled.double().mean()) == pytest.approx(0.6225, abs=0.01)


def test_predictions():
    assert BinaryCrossEntropy().predictions(torch.tensor([[2.0], [-1.0]])).tolist() == [1, 0]
    assert BinaryCrossEntropy().predictions(torch.tensor([[2.0, -1.0]])).tolist() == [[1, 0]]


def test_is_negative_log_likelihood():
    assert BinaryCrossEntropy().is_negative_log_likelihood
    assert not BinaryCrossEntropy([2.0]).is_negative_log_likelihood


def data(targets: list) -> Dataset:
    return Dataset.from_columns(torch.zeros(len(targets), 2), torch.tensor(targets))


def test_out_features():
    assert BinaryCrossEntropy().out_features(data([0, 1])) == 1
    assert BinaryCrossEntropy().out_features(data([[0, 1, 1], [1, 0, 0]])) == 3


@pytest.mark.parametrize(
    ("objective", "targets", "message"),
    [
        (
            BinaryCrossEntropy(),
            [0, 2],
            'the objective "binary-cross-entropy" needs targets of 0 or 1, and the target of '
            'example 1 (id "1") is 2; for more than two classes try "cross-entropy"',
        ),
        (
            BinaryCrossEntropy(),
            [1, 1],
            'the objective "binary-cross-entropy" needs examples of both classes, and the training '
            "data show only class 1; give data with both",
        ),
        (
            BinaryCrossEntropy([1.0, 2.0]),
            [[0, 1, 1], [1, 0, 0]],
            'the objective "binary-cross-entropy" has 2 values of pos_weight for 3 labels; give '
            "one for every label",
        ),
    ],
)
def test_check_targets(objective, targets, message):
    with pytest.raises(ObjectiveError, match=f"^{re.escape(message)}$"):
        objective.check_targets(data(targets))


def test_queries_may_be_of_one_class():
    BinaryCrossEntropy().check_targets(data([1, 1]), out_features=1)
    message = 'the target of example 0 (id "0") has 1 labels, but 2 are expected'
    with pytest.raises(ObjectiveError, match=re.escape(message)):
        BinaryCrossEntropy().check_targets(data([1, 1]), out_features=2)


def test_shapes_that_do_not_belong_together():
    message = (
        'the objective "binary-cross-entropy" needs one target for every output: found outputs '
        '[4, 10] and targets [4]; for classes with an output each try "cross-entropy"'
    )
    with pytest.raises(ObjectiveError, match=re.escape(message)):
        BinaryCrossEntropy().losses(torch.zeros(4, 10), torch.zeros(4))


def test_negative_weight():
    with pytest.raises(ValueError, match=re.escape("0 or more for every label, found [-1.0]")):
        BinaryCrossEntropy([-1.0])


def test_gradients_of_sure_predictions_keep_their_digits():
    targets = torch.tensor([1.0])

    def gradient(logits: torch.Tensor) -> torch.Tensor:
        logits = logits.clone().requires_grad_()
        losses = BinaryCrossEntropy().losses(logits, targets)
        assert losses.dtype == logits.dtype
        return torch.autograd.grad(losses.sum(), logits)[0]

    logits = torch.tensor([19.0])
    torch.testing.assert_close(
        gradient(logits).double(), gradient(logits.double()), rtol=1e-6, atol=0
    )
