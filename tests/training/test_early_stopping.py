"""Early stopping."""

from __future__ import annotations

import torch
from torch import nn

from hessinf.training import EarlyStopping
from hessinf.training.early_stopping import BestEpoch


def watch(losses: list[float], **settings: object) -> tuple[list[bool], float]:
    """Show losses one after the other to a module whose weight counts them."""
    module = nn.Linear(1, 1, bias=False)
    best = BestEpoch(EarlyStopping(**settings))
    answers = []
    for epoch, loss in enumerate(losses):
        nn.init.constant_(module.weight, epoch)
        answers.append(best.should_stop(loss, module))
    best.restore(module)
    return answers, module.weight.item()


def test_patience():
    answers, weight = watch([3.0, 2.0, 2.5, 2.0, 1.0, 1.5, 1.5, 1.5], patience=3)
    assert answers == [False] * 7 + [True]
    assert weight == 4


def test_minimum_improvement():
    answers, weight = watch([3.0, 2.9, 2.8], patience=2, minimum_improvement=0.5)
    assert answers == [False, False, True]
    assert weight == 0


def test_without_restoring():
    assert watch([1.0, 2.0], patience=1, restore_best=False) == ([False, True], 1.0)


def test_a_loss_that_is_not_a_number_is_no_improvement():
    assert watch([1.0, float("nan")], patience=1)[0] == [False, True]


def test_best_state_is_a_copy():
    module = nn.Linear(1, 1)
    best = BestEpoch(EarlyStopping())
    best.should_stop(1.0, module)
    before = module.weight.detach().clone()
    with torch.no_grad():
        module.weight.add_(1)
    best.restore(module)
    assert torch.equal(module.weight, before)
