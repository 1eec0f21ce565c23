"""A model that several statistics of the Fisher are tried on."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hessinf.testing.optimum import draw_parameters, normal
from hessinf.testing.problem import Columns


class Late(nn.Module):
    """Uses a second layer where an example of the batch asks for it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 2)
        self.late = nn.Linear(2, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.first(inputs)
        asked = (inputs[:, :1] > 0).double()
        if bool(asked.any()):
            hidden = hidden + asked * self.late(hidden.tanh())
        return hidden


@pytest.fixture
def late_layer() -> tuple[nn.Module, Columns]:
    """Return a model, and six examples of which the last two use its second layer."""
    generator = torch.Generator().manual_seed(0)
    module = Late()
    draw_parameters(module, generator)
    inputs = normal(generator, 6, 3)
    inputs[:, 0] = torch.tensor([-1.0, -1, -1, -1, 1, 1])
    return module, (inputs, torch.tensor([0, 1, 0, 1, 0, 1]))
