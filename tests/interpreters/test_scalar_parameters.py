"""A parameter without dimensions, such as a learnt temperature, is a parameter like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hessinf.interpreters import InfluenceInterpreter

NAMES = [
    name
    for name in InfluenceInterpreter.list_available()
    if InfluenceInterpreter.by_name(name).__module__.startswith("hessinf.")
]


class Tempered(nn.Module):
    """Logits times a temperature, of a shape to be chosen."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.layer: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
            nn.Linear, 3, 3, dtype=torch.float64
        )
        with torch.no_grad():
            self.layer.weight.copy_(torch.randn(3, 3, generator=generator))
            self.layer.bias.zero_()
        self.temperature = nn.Parameter(torch.full(shape, 0.7, dtype=torch.float64))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layer(inputs) * self.temperature  # [B, 3]
        return outputs


def answers(name: str, shape: tuple[int, ...], folder: Path) -> list[np.ndarray]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(12, 3, generator=generator, dtype=torch.float64)
    data = (inputs, torch.randint(3, (12,), generator=generator))
    queries = (inputs[:2], data[1][:2])
    module = Tempered(shape)
    arguments: dict[str, Any] = {}
    if name == "tracin":
        torch.save(module.state_dict(), folder / f"{len(shape)}.pt")
        arguments["checkpoints"] = [str(folder / f"{len(shape)}.pt")]
    method = InfluenceInterpreter.by_name(name)
    interpreter = method(module, data, weight_decay=0.5, batch_size=5, **arguments)
    found = [interpreter.scores(queries), interpreter.self_influence()]
    if name != "gradient-cosine":
        found += interpreter.scores_by_block(queries, blocks="parameter").values()
        found.append(interpreter.perturbation_influence(queries))  # type: ignore[arg-type]
    if name in ("exact", "ggn", "block-ggn", "block-hessian", "kfac", "ekfac"):
        found.append(interpreter.loss_changes(queries, refinement="newton-step"))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_scalar_is_as_good_as_a_vector_of_one(name: str, tmp_path: Path) -> None:
    both = (answers(name, shape, tmp_path) for shape in ((), (1,)))
    for scalar, vector in zip(*both, strict=True):
        np.testing.assert_allclose(scalar, vector, rtol=1e-8, atol=1e-12)
