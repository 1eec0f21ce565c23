"""Models that are chains of layers, and others; products that tests compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hessinf.data.batching import Batch
from hessinf.gradients import (
    FunctionalModel,
)
from hessinf.gradients.block_vectors import BlockVectors
from hessinf.gradients.linearization import Linearization
from hessinf.models import Objective

WIDE = torch.float64


class Residual(nn.Module):
    """x + f(x), or with something else around the sum."""

    def __init__(self, inner: nn.Module, after: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.inner = inner
        self.after = after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(x + self.inner(x))


class Idle(nn.Module):
    """A head that no output depends on, at first, and a number that all do."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(2, 4), nn.Linear(2, 3)
        self.unused = nn.Linear(2, 3)
        self.scale = nn.Parameter(torch.tensor(0.7))
        self.last = nn.Linear(4, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.scale * self.last(torch.tanh(self.first(inputs[..., :2])))
        if inputs.shape[-1] > 2:
            found = found + self.head(inputs[..., 1:])
        return found


class Computes(nn.Module):
    """What a function of a module gives, so that a test can say it where it is needed."""

    def __init__(self, function: Callable[..., Any], *parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x, *self.parts)


def mlp(activation: nn.Module | None = None, *, bias: bool = True) -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 5, bias=bias),
        activation or nn.Tanh(),
        nn.Linear(5, 4),
        nn.GELU(),
        nn.Linear(4, 3),
    )


def tied() -> nn.Module:
    same = nn.Linear(6, 6)
    return nn.Sequential(same, nn.Tanh(), same, nn.SiLU(), nn.Linear(6, 3))


def frozen(name: str) -> nn.Module:
    module = mlp()
    module.get_parameter(name).requires_grad_(False)
    return module


def halves(x: torch.Tensor) -> torch.Tensor:
    return x * 0.5 + 1.0


CHAINS: dict[str, Callable[[], nn.Module]] = {
    "one layer": lambda: nn.Linear(6, 3),
    "tanh": mlp,
    "relu": lambda: mlp(nn.ReLU()),
    "relu in place": lambda: mlp(nn.ReLU(inplace=True)),
    "leaky": lambda: mlp(nn.LeakyReLU(0.2)),
    "softplus": lambda: mlp(nn.Softplus(beta=2.0)),
    "elu": lambda: mlp(nn.ELU(alpha=0.7)),
    "no bias": lambda: mlp(bias=False),
    "no activation": lambda: nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3)),
    "flattened": lambda: nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Flatten(), mlp()),
    "dropout": lambda: nn.Sequential(mlp(), nn.Dropout(0.5), nn.Linear(3, 3), nn.Identity()),
    "multiples": lambda: nn.Sequential(
        nn.Linear(6, 4), Computes(halves), nn.Tanh(), nn.Linear(4, 3)
    ),
    "residual of inputs": lambda: nn.Sequential(
        Residual(nn.Linear(6, 6), torch.tanh), nn.Linear(6, 3)
    ),
    "residual": lambda: nn.Sequential(
        nn.Linear(6, 4),
        Residual(nn.Sequential(nn.ReLU(), nn.Linear(4, 4), nn.Sigmoid()), functional.softplus),
        Residual(nn.Linear(4, 4), torch.relu),
        nn.Linear(4, 3),
    ),
    "used twice": lambda: nn.Sequential(
        nn.Linear(6, 4), Computes(lambda x: x + x), nn.Tanh(), nn.Linear(4, 3)
    ),
    "tied": tied,
    "first weight frozen": lambda: frozen("0.weight"),
    "first bias frozen": lambda: frozen("0.bias"),
    "second weight frozen": lambda: frozen("2.weight"),
}

NO_CHAINS: dict[str, Callable[[], nn.Module]] = {
    "layer norm": lambda: nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4), nn.Linear(4, 3)),
    "transposed weight": lambda: Computes(lambda x, f: x @ f.weight.T, nn.Linear(6, 3)),
    "positions": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.Linear(3, 4), nn.Flatten(), nn.Linear(8, 3)
    ),
    "mean": lambda: Computes(lambda x, f: f(x) - f(x).mean(1, keepdim=True), nn.Linear(6, 3)),
    "product": lambda: Computes(lambda x, f: f(x) * f(x), nn.Linear(6, 3)),
    "detached": lambda: Computes(
        lambda x, f, g: g(f(x).detach()) + f(x), nn.Linear(6, 3), nn.Linear(3, 3)
    ),
    "constant": lambda: Computes(constant_part, nn.Linear(6, 3)),
    "parameter": lambda: Computes(lambda x, f: f(x) + f.bias, nn.Linear(6, 3)),
    "written into": lambda: Computes(
        lambda x, f, g: written(f(x), g), nn.Linear(6, 4), nn.Linear(4, 3)
    ),
    "prelu": lambda: mlp(nn.PReLU()),
    "old function": lambda: Computes(lambda x, f: Cube.apply(f(x)), nn.Linear(6, 3)),
    "not last": lambda: Computes(not_last, nn.Linear(6, 3), nn.Linear(3, 3)),
}


def constant_part(x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        other = torch.tanh(layer(x))
    return layer(x) + other


def written(x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    y = layer(torch.sigmoid(x))
    x.add_(1)
    return y + layer(x)


def not_last(x: torch.Tensor, first: nn.Module, second: nn.Module) -> torch.Tensor:
    y = first(x)
    second(y)
    return y


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


def problem(build: Callable[[], nn.Module], count: int = 11) -> tuple[FunctionalModel, Batch]:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        module = build().double().eval()
        inputs = torch.randn(count, 6, dtype=WIDE)
    return FunctionalModel(module), Batch(inputs, torch.arange(count) % 3, torch.arange(count))


def directions(size: int, count: int) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(3), dtype=WIDE)


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def through(part: Linearization, vectors: torch.Tensor, model: FunctionalModel) -> torch.Tensor:
    """Multiply, with a factor and something to add to."""
    given = BlockVectors.of_rows(vectors, model.layout)
    into = given.like(torch.ones_like(given.numbers))
    part.add_products(given, into, -2.0)
    return (into.rows() - 1) / -2


def expected(
    kind: type, model: FunctionalModel, objective: Objective, batch: Batch, vectors: torch.Tensor
) -> torch.Tensor:
    products: torch.Tensor = kind(model, objective, [])._along("one by one", batch, vectors)
    return products
