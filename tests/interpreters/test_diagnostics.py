"""How far to believe scores: what interpreters report beside them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from hessinf.interpreters import InfluenceInterpreter
from hessinf.interpreters.diagnostics import applied_damping, diagnostics_of, gradient_routes
from hessinf.testing import logistic_regression, multilayer_perceptron


class Mixed(nn.Module):
    """A layer, a normalization, and a parameter that no known function uses."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.norm = nn.LayerNorm(3)
        self.odd = nn.Parameter(torch.ones(3))
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(self.linear(inputs))
        return torch.linalg.solve(torch.eye(3) + self.odd.outer(self.odd), hidden.T).T


def make(name: str, model: nn.Module | None = None, **given: Any) -> Any:
    problem = logistic_regression()
    return InfluenceInterpreter.by_name(name)(
        problem.module() if model is None else model, problem.train, **given
    )


def test_routes_of_gradients() -> None:
    interpreter = make("gradient-dot", Mixed())
    assert gradient_routes(interpreter) is None, "before there were any"
    interpreter.scores(logistic_regression().queries)
    assert gradient_routes(interpreter) == {
        "layers": ["linear.weight", "linear.bias"],
        "elementwise": ["norm.weight", "norm.bias"],
        "general": ["odd"],
        "idle": ["unused"],
    }


def test_routes_of_a_model_that_is_run_one_by_one() -> None:
    class Branching(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return super().forward(inputs) if len(inputs) == 1 else self.many(inputs)

        def many(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.cat([self.forward(one[None]) for one in inputs])

    interpreter = make("gradient-dot", Branching(3, 3))
    interpreter.scores(logistic_regression().queries)
    routes = gradient_routes(interpreter)
    assert routes is not None
    assert sorted(name for names in routes.values() for name in names) == ["bias", "weight"]


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("gradient-dot", {}, None),
        ("exact", {"damping": 0.25}, 0.25),
        ("block-ggn", {"damping": {"relative": 0.5}}, {"0": float}),
    ],
)
def test_damping(name: str, given: Any, expected: Any) -> None:
    problem = multilayer_perceptron()
    interpreter = InfluenceInterpreter.by_name(name)(problem.module(), problem.train, **given)
    found = applied_damping(interpreter.fit())
    if isinstance(expected, dict):
        assert list(found) == ["0", "4"], "a number for each layer"
        assert all(value > 0 for value in found.values())
    else:
        assert found == expected


def test_numbers_that_are_not_finite_are_texts() -> None:
    interpreter = make("gradient-dot")
    interpreter.report(spread=torch.tensor([1.0, float("inf")]), rank=3, well=True)
    rows = diagnostics_of(interpreter, 2)
    assert [row["spread"] for row in rows] == [1.0, "inf"]
    assert [row["rank"] for row in rows] == [3, 3]
    assert [row["well"] for row in rows] == [True, True]
