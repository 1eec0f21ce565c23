"""Cross-entropy: losses, second derivatives, samples and checks."""

from __future__ import annotations

import re

import pytest
import torch
from torch.nn import functional

from hessinf.data import Dataset
from hessinf.models import CrossEntropy, Objective, ObjectiveError
from hessinf.models.objective import MOST_WIDENED

WEIGHT = [0.5, 2.0, 0.0, 1.5]
SETTINGS = [
    {},
    {"weight": WEIGHT},
    {"label_smoothing": 0.3},
    {"weight": WEIGHT, "label_smoothing": 0.3},
    {"weight": WEIGHT, "label_smoothing": 0.3, "example_reduction": "mean"},
]


def outputs_of(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


FLAT = (outputs_of(6, 4), torch.tensor([0, 1, 2, 3, -100, 1]))
POSITIONS = (
    outputs_of(3, 5, 4),
    torch.tensor([[0, 1, 2, 3, 0], [3, -100, 1, -100, -100], [-100] * 5]),
)


def data(targets: list, **keywords: object) -> Dataset:
    return Dataset.from_columns(torch.zeros(len(targets), 2), torch.tensor(targets), **keywords)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(("outputs", "targets"), [FLAT, POSITIONS], ids=["flat", "positions"])
def test_square_root_is_exact(settings, outputs, targets, check_square_root):
    check_square_root(CrossEntropy(**settings), outputs, targets)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(("outputs", "targets"), [FLAT, POSITIONS], ids=["flat", "positions"])
def test_transforms(settings, outputs, targets, check_transforms):
    check_transforms(CrossEntropy(**settings), outputs, targets)


@pytest.mark.parametrize("settings", SETTINGS[:4])
@pytest.mark.parametrize(("outputs", "targets"), [FLAT, POSITIONS], ids=["flat", "positions"])
def test_losses_are_pytorchs(settings, outputs, targets):
    weight = torch.tensor(settings["weight"]).double() if "weight" in settings else None
    terms = functional.cross_entropy(
        outputs.reshape(-1, 4),
        targets.reshape(-1),
        weight=weight,
        label_smoothing=settings.get("label_smoothing", 0.0),
        reduction="none",
    )
    expected = terms.reshape(len(outputs), -1).sum(1)
    torch.testing.assert_close(CrossEntropy(**settings).losses(outputs, targets), expected)


def test_mean_over_positions_leaves_ignored_ones_out():
    outputs, targets = POSITIONS
    total = CrossEntropy().losses(outputs, targets)
    mean = CrossEntropy(example_reduction="mean").losses(outputs, targets)
    torch.testing.assert_close(mean, total / torch.tensor([5.0, 2.0, 1.0]).double())
    assert mean[2] == 0


def test_blocks_hold_the_square_root_without_its_zeros():
    outputs, targets = POSITIONS
    blocks = CrossEntropy().hessian_square_root_blocks(outputs, targets)
    full = CrossEntropy().hessian_square_root(outputs, targets)
    assert blocks.shape == (3, 5, 4, 4)
    assert full.shape == (3, 5, 4, 20)
    torch.testing.assert_close(full[0, 2, :, 8:12], blocks[0, 2])
    assert full[0, 2, :, :8].abs().max() == 0
    assert blocks[1, 1].abs().max() == 0


def test_sampled_targets_follow_the_softmax():
    logits = torch.tensor([0.0, 1.0, -torch.inf, 2.0]).expand(40_000, 4)
    targets = torch.zeros(40_000, dtype=torch.int64)
    generator = torch.Generator().manual_seed(1)
    sampled = CrossEntropy().sample_targets(logits, targets, generator)
    frequencies = torch.bincount(sampled, minlength=4) / 40_000
    torch.testing.assert_close(frequencies, logits[0].softmax(-1), atol=0.01, rtol=0)
    assert frequencies[2] == 0
    again = CrossEntropy().sample_targets(logits, targets, torch.Generator().manual_seed(1))
    assert torch.equal(sampled, again)


def test_sampled_targets_stay_ignored():
    outputs, targets = POSITIONS
    sampled = CrossEntropy().sample_targets(outputs, targets, torch.Generator().manual_seed(0))
    assert sampled.dtype == targets.dtype
    assert torch.equal(sampled == -100, targets == -100)


def test_is_negative_log_likelihood():
    found = [CrossEntropy(**settings).is_negative_log_likelihood for settings in SETTINGS]
    assert found == [True, False, False, False, False]


def test_predictions():
    assert CrossEntropy().predictions(torch.tensor([[0.0, 2.0, 1.0]])).tolist() == [1]
    assert CrossEntropy().predictions(POSITIONS[0]).shape == (3, 5)


def test_out_features():
    assert CrossEntropy().out_features(data([0, 2, 1])) == 3
    assert CrossEntropy().out_features(data([0, 1], label_names=["a", "b", "c"])) == 3
    assert CrossEntropy().out_features(data([[0, 4], [1, -100]])) == 5


def test_from_config():
    built = Objective.from_config({"type": "cross-entropy", "label_smoothing": 0.1})
    assert isinstance(built, CrossEntropy)
    assert built.label_smoothing == 0.1


@pytest.mark.parametrize(
    ("objective", "targets", "keywords", "message"),
    [
        (
            CrossEntropy(),
            [0.5, 1.0],
            {},
            'the objective "cross-entropy" needs targets that are class numbers (int64), and the '
            'target of example 0 (id "0") is float32; for values to be regressed try '
            '"mean-squared-error", for 0/1 labels "binary-cross-entropy"',
        ),
        (
            CrossEntropy(),
            [0, 1, 5],
            {"label_names": ["a", "b"]},
            'the target of example 2 (id "2") is class 5, but there are 2 classes, 0 to 1; correct '
            "the data, or its label names",
        ),
        (
            CrossEntropy(),
            [1, 1, 1],
            {},
            'the objective "cross-entropy" needs examples of at least two classes, and the '
            "training data show only class 1; give data with more classes",
        ),
        (
            CrossEntropy(weight=[1.0, 1.0, 1.0]),
            [0, 1],
            {},
            'the objective "cross-entropy" has 3 class weights for 2 classes; give one weight for '
            "every class",
        ),
    ],
)
def test_check_targets(objective, targets, keywords, message):
    with pytest.raises(ObjectiveError, match=f"^{re.escape(message)}$"):
        objective.check_targets(data(targets, **keywords))


def test_queries_may_be_of_one_class_but_not_of_a_new_one():
    CrossEntropy().check_targets(data([1, 1, -100]), out_features=2)
    with pytest.raises(ObjectiveError, match="is class 2, but there are 2 classes, 0 to 1"):
        CrossEntropy().check_targets(data([1, 2]), out_features=2)


def test_shapes_that_do_not_belong_together():
    message = (
        'the objective "cross-entropy" needs outputs [..., classes] with one target for each: '
        "found outputs [3, 4] and targets [3, 1]; classes are the last axis of the outputs"
    )
    with pytest.raises(ObjectiveError, match=re.escape(message)):
        CrossEntropy().losses(torch.zeros(3, 4), torch.zeros(3, 1, dtype=torch.int64))


def test_weights_of_another_number():
    message = "has 2 class weights, but the model has 4 outputs; give one weight for every class"
    with pytest.raises(ObjectiveError, match=re.escape(message)):
        CrossEntropy(weight=[1.0, 2.0]).losses(*FLAT)


def test_negative_weight():
    message = "weight has to be 0 or more for every class, found [1.0, -1.0]"
    with pytest.raises(ValueError, match=re.escape(message)):
        CrossEntropy(weight=[1.0, -1.0])


@pytest.mark.parametrize("number", [4, 5000])
def test_gradients_of_sure_predictions_keep_their_digits(number):
    """``p - y`` is the small difference of numbers that float32 cannot tell apart."""
    logits = torch.zeros(1, number)
    logits[0, 0] = 19.0  # p = 1 - 2e-8 for four classes
    targets = torch.tensor([0])

    def gradient(outputs: torch.Tensor) -> torch.Tensor:
        outputs = outputs.clone().requires_grad_()
        losses = CrossEntropy().losses(outputs, targets)
        assert losses.dtype == outputs.dtype
        return torch.autograd.grad(losses.sum(), outputs)[0]

    exact, found = gradient(logits.double()), gradient(logits)
    assert found.dtype == torch.float32
    error = float((found - exact)[0, 0].abs() / exact[0, 0].abs())
    if number <= MOST_WIDENED:
        assert error < 1e-6
    else:  # as torch computes it
        assert torch.equal(
            found, torch.autograd.functional.jacobian(lambda x: torch_loss(x, targets), logits)
        )


def torch_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(outputs, targets, reduction="sum")


def test_roots_of_sure_predictions_keep_their_digits():
    logits = torch.tensor([[19.0, 0.0, 1.0, -1.0]])
    objective, targets = CrossEntropy(), torch.tensor([0])
    exact = objective.hessian_square_root_blocks(logits.double(), targets)
    found = objective.hessian_square_root_blocks(logits, targets)
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=0)
