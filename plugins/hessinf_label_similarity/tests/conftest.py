from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hessinf_label_similarity import TwoMoons

from hessinf.data import Dataset


@pytest.fixture
def train_data() -> Dataset:
    return TwoMoons(train_size=30, data_seed=1).read("train")


@pytest.fixture
def test_data() -> Dataset:
    return TwoMoons(test_size=4, data_seed=1).read("test")


@pytest.fixture
def model() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [torch.nn.Linear(2, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2)]
        return torch.nn.Sequential(*layers).double()


@pytest.fixture
def gradients_one_by_one() -> Callable[[torch.nn.Module, Dataset], torch.Tensor]:
    """Computes the gradient of each example's cross-entropy, ``[N, P]``, the slow and plain way."""

    def gradients(model: torch.nn.Module, data: Dataset) -> torch.Tensor:
        rows = []
        for instance in data:
            outputs = model(instance.inputs.double()[None])  # [1, C]
            loss = torch.nn.functional.cross_entropy(outputs, instance.target[None])
            parts = torch.autograd.grad(loss, list(model.parameters()))
            rows.append(torch.cat([part.flatten() for part in parts]))
        return torch.stack(rows)  # [N, P]

    return gradients
