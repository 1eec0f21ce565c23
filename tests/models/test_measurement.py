"""Measurements: what is measured of a query."""

from __future__ import annotations

import re

import pytest
import torch

from hessinf.models import (
    BinaryCrossEntropy,
    CrossEntropy,
    LanguageModeling,
    Logit,
    LogProbability,
    Loss,
    Margin,
    MeanSquaredError,
    Measurement,
    ObjectiveError,
)

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(4, 3, dtype=torch.float64, generator=GENERATOR)
CLASSES = torch.tensor([0, 1, 2, 1])
PICKED = LOGITS[range(4), CLASSES]
BINARY = LOGITS[:, :1]
SIGNS = torch.tensor([-1.0, 1.0, 1.0, -1.0]).double()
LABELS = torch.tensor([0, 1, 1, 0])


def test_default_is_loss():
    assert isinstance(Measurement.from_config({}), Loss)
    assert Measurement.list_available() == ["loss", "margin", "log-probability", "logit"]


def test_loss():
    objective = CrossEntropy(weight=[1.0, 2.0, 3.0])
    values = Loss().values(LOGITS, CLASSES, objective)
    assert torch.equal(values, objective.losses(LOGITS, CLASSES))
    assert not Loss.higher_is_better


def test_margin_is_the_log_odds_of_the_target():
    probability = LOGITS.softmax(1)[range(4), CLASSES]
    values = Margin().values(LOGITS, CLASSES, CrossEntropy(label_smoothing=0.2))
    torch.testing.assert_close(values, probability.log() - (1 - probability).log())
    assert Margin.higher_is_better


def test_margin_of_a_binary_output():
    values = Margin().values(BINARY, LABELS, BinaryCrossEntropy())
    torch.testing.assert_close(values, SIGNS * BINARY[:, 0])


def test_log_probability():
    values = LogProbability().values(LOGITS, CLASSES, CrossEntropy(weight=[1.0, 2.0, 3.0]))
    torch.testing.assert_close(values, LOGITS.log_softmax(1)[range(4), CLASSES])
    values = LogProbability().values(BINARY, LABELS, BinaryCrossEntropy([5.0]))
    torch.testing.assert_close(values, torch.nn.functional.logsigmoid(SIGNS * BINARY[:, 0]))
    assert LogProbability.higher_is_better


def test_logit():
    torch.testing.assert_close(Logit().values(LOGITS, CLASSES, CrossEntropy()), PICKED)
    torch.testing.assert_close(Logit(2).values(LOGITS, CLASSES, CrossEntropy()), LOGITS[:, 2])
    values = Logit().values(BINARY, LABELS, BinaryCrossEntropy())
    torch.testing.assert_close(values, SIGNS * BINARY[:, 0])
    values = Logit(0).values(BINARY, LABELS, BinaryCrossEntropy())
    torch.testing.assert_close(values, BINARY[:, 0])
    assert Logit.higher_is_better


@pytest.mark.parametrize("measurement", [Loss(), Margin(), LogProbability(), Logit()])
def test_positions_add_up_without_ignored_ones(measurement):
    outputs = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    tokens = torch.tensor([[0, 1, 2, 1], [2, 1, -100, -100]])
    values = measurement.values(outputs, tokens, LanguageModeling())
    expected = [
        sum(
            measurement.values(outputs[b, s : s + 1], tokens[b, s + 1 : s + 2], CrossEntropy())
            for s in range(3)
            if tokens[b, s + 1] != -100
        )
        for b in range(2)
    ]
    torch.testing.assert_close(values, torch.cat(expected))


@pytest.mark.parametrize("measurement", [Loss(), Margin(), LogProbability(), Logit(), Logit(1)])
def test_measurements_work_under_vmap_and_grad(measurement):
    def value(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return measurement.values(output[None], target[None], CrossEntropy())[0]

    gradients = torch.func.vmap(torch.func.grad(value))(LOGITS, CLASSES)
    variable = LOGITS.clone().requires_grad_()
    total = measurement.values(variable, CLASSES, CrossEntropy()).sum()
    torch.testing.assert_close(gradients, torch.autograd.grad(total, variable)[0])


@pytest.mark.parametrize("name", ["margin", "log-probability", "logit"])
def test_regressions_have_no_classes(name):
    message = (
        f'the measurement "{name}" needs classes, and the objective "mean-squared-error" has none; '
        'try the measurement "loss"'
    )
    with pytest.raises(ObjectiveError, match=f"^{re.escape(message)}$"):
        Measurement.from_config(name).values(LOGITS, LOGITS, MeanSquaredError())


@pytest.mark.parametrize(
    ("outputs", "targets", "objective", "number"),
    [(LOGITS, CLASSES, CrossEntropy(), 3), (BINARY, LABELS, BinaryCrossEntropy(), 1)],
)
def test_index_out_of_range(outputs, targets, objective, number):
    message = (
        f'the measurement "logit" has index 7, but the model has {number} outputs, 0 to '
        f"{number - 1}"
    )
    with pytest.raises(ObjectiveError, match=f"^{re.escape(message)}$"):
        Logit(7).values(outputs, targets, objective)
