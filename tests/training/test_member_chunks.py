"""How much memory models need while they are trained together."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hessinf.data import Dataset
from hessinf.models import CrossEntropy, MeanSquaredError
from hessinf.training.member_chunks import COPIES, DOUBLES, bytes_of_a_member
from tests.training.ensembles import DATA, INPUTS, perceptron


def test_parameters_and_batches_of_a_linear_model():
    targets = torch.zeros(40, 2, dtype=torch.float64)
    dataset = Dataset.from_columns(INPUTS, targets)
    module = nn.Linear(4, 2, bias=False).double()
    needed = bytes_of_a_member(module, dataset, MeanSquaredError(), 10)
    parameters = 8 * (COPIES + DOUBLES) * 8
    batch = 10 * (4 + 2) * 8
    differences = 10 * 2 * 8  # what a square keeps
    assert needed == parameters + batch + 3 * differences


@pytest.mark.parametrize("batch_size", [4, 8, 16])
def test_it_grows_with_the_batch(batch_size):
    def needed(size: int) -> int:
        return bytes_of_a_member(perceptron(0), DATA, CrossEntropy(), size)

    more = needed(2 * batch_size) - needed(batch_size)
    assert more == pytest.approx(batch_size * (needed(2) - needed(1)), rel=0.2)


def test_frozen_parameters_count_once():
    def needed(frozen: bool) -> int:
        module = nn.Sequential(nn.Linear(4, 1000), nn.Linear(1000, 2)).double()
        module[0].requires_grad_(not frozen)
        return bytes_of_a_member(module, DATA, CrossEntropy(), 1)

    assert needed(False) - needed(True) >= (COPIES + DOUBLES - 1) * 5000 * 8


def test_the_module_is_left_as_it_was():
    module = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5)).double().eval()
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    bytes_of_a_member(module, DATA, CrossEntropy(), 4)
    assert not module[1].training
    assert module[0].weight.grad is None
    assert torch.equal(torch.random.get_rng_state(), state)
