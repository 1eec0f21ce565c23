from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import nn

from hessinf.data import as_dataset
from hessinf.gradients import FunctionalModel
from hessinf.interpreters import moved_parameters
from hessinf.models import as_objective
from hessinf.testing import Problem, logistic_regression


class TestMovedParameters:
    def losses(self, problem: Problem, module: nn.Module, memory: float = 1e9) -> torch.Tensor:
        model = FunctionalModel(module)
        queries = as_dataset(problem.queries)
        moved = moved_parameters.MovedParameters(
            model, as_objective(problem.objective), queries, 4, memory
        )
        generator = torch.Generator().manual_seed(0)
        steps = torch.randn(7, model.layout.size, generator=generator, dtype=torch.float64)
        with model.evaluating():
            return moved.loss_changes(steps)

    def test_one_at_a_time_where_vmap_cannot(self, caplog: pytest.LogCaptureFixture) -> None:
        class Branching(nn.Module):
            def __init__(self, inner: nn.Module) -> None:
                super().__init__()
                self.inner = inner

            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                outputs: torch.Tensor = self.inner(inputs)
                return outputs if float(outputs.detach().sum()) == 12345.0 else outputs + 0

        problem = logistic_regression()
        expected = self.losses(problem, problem.module())
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = self.losses(problem, Branching(problem.module()))
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        (message,) = caplog.messages
        assert message.startswith(
            "the model cannot be evaluated for many sets of parameters at once ("
        )
        assert message.endswith(
            "); going on one at a time, which is slower and gives the same losses"
        )

    def test_halves_when_memory_runs_out(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        problem = logistic_regression()
        expected = self.losses(problem, problem.module())
        original = moved_parameters.vmap

        def failing(function: Any) -> Any:
            def call(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
                if len(parameters["0.weight"]) > 2:
                    raise torch.OutOfMemoryError("out of memory")
                return original(function)(parameters)

            return call

        monkeypatch.setattr(moved_parameters, "vmap", failing)
        with caplog.at_level(logging.WARNING):
            found = self.losses(problem, problem.module(), memory=8e4)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        assert caplog.messages
        assert all("models at once: halving" in message for message in caplog.messages)
