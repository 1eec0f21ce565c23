"""Small models of many kinds, and derivatives of them by plain loops."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel, linearization
from hessinf.models import (
    BinaryCrossEntropy,
    CrossEntropy,
    LanguageModeling,
    MeanSquaredError,
    Objective,
)

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class Case:
    """A model with data, an objective, and the same loss written once more."""

    module: nn.Module
    batch: Batch
    objective: Objective
    loss: Loss

    @property
    def model(self) -> FunctionalModel:
        return FunctionalModel(self.module)

    def total_loss(self, module: nn.Module, batch: Batch) -> torch.Tensor:
        inputs = batch.inputs
        outputs = module(**inputs) if isinstance(inputs, dict) else module(inputs)
        if not isinstance(outputs, torch.Tensor):
            outputs = outputs["logits"] if isinstance(outputs, dict) else outputs.logits
        return self.loss(outputs, batch.targets)

    def gradients(self) -> torch.Tensor:
        """One gradient an example, one backward pass after another: ``[B, P]``."""
        module = copy.deepcopy(self.module).eval()
        parameters = [p for p in module.parameters() if p.requires_grad]
        rows = []
        for place in range(self.batch.size):
            one = self.batch.select(slice(place, place + 1))
            gradients = torch.autograd.grad(
                self.total_loss(module, one), parameters, allow_unused=True, materialize_grads=True
            )
            rows.append(torch.cat([g.flatten() for g in gradients]))
        return torch.stack(rows)

    def gradient_at(self, shift: torch.Tensor) -> torch.Tensor:
        """The gradient of the summed loss at θ + shift: ``[P]``."""
        module = copy.deepcopy(self.module).eval()
        parameters = [p for p in module.parameters() if p.requires_grad]
        with torch.no_grad():
            for parameter, part in zip(
                parameters, shift.split([p.numel() for p in parameters]), strict=True
            ):
                parameter += part.reshape(parameter.shape)
        gradients = torch.autograd.grad(self.total_loss(module, self.batch), parameters)
        return torch.cat([g.flatten() for g in gradients])

    def hessian_products(self, vectors: torch.Tensor, step: float = 1e-4) -> torch.Tensor:
        """Central differences of gradients, of fourth order: ``[K, P]``."""
        rows = []
        for vector in vectors:
            h = step / vector.norm() * vector.numel() ** 0.5
            near = self.gradient_at(h * vector) - self.gradient_at(-h * vector)
            far = self.gradient_at(2 * h * vector) - self.gradient_at(-2 * h * vector)
            rows.append((8 * near - far) / (12 * h))
        return torch.stack(rows)

    def gauss_newton(self) -> torch.Tensor:
        """``Σ_b J_bᵀ Λ_b J_b`` from one backward pass an output: ``[P, P]``."""
        module = copy.deepcopy(self.module).eval()
        parameters = [p for p in module.parameters() if p.requires_grad]
        size = sum(p.numel() for p in parameters)
        total = torch.zeros(size, size, dtype=torch.float64)
        for place in range(self.batch.size):
            one = self.batch.select(slice(place, place + 1))
            same = Case(self.module, one, self.objective, lambda outputs, targets: outputs)
            outputs = same.total_loss(module, one)
            jacobian = torch.stack(
                [
                    torch.cat(
                        [
                            g.flatten()
                            for g in torch.autograd.grad(
                                output,
                                parameters,
                                retain_graph=True,
                                allow_unused=True,
                                materialize_grads=True,
                            )
                        ]
                    )
                    for output in outputs.flatten()
                ]
            )
            number = outputs.numel()
            curvature = torch.autograd.functional.hessian(
                lambda f, one=one, shape=outputs.shape: self.loss(f.reshape(shape), one.targets),
                outputs.detach().flatten(),
            ).reshape(number, number)
            total += jacobian.T @ curvature @ jacobian
        return total


def cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(outputs, targets, reduction="sum")


def next_tokens(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(
        outputs[:, :-1].flatten(0, 1), targets[:, 1:].flatten(), reduction="sum"
    )


def squares(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return ((outputs - targets) ** 2).mean(dim=1).sum()


def binary(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    signs = 2.0 * targets.to(outputs.dtype) - 1
    return functional.softplus(-signs * outputs.flatten()).sum()


class Cnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect")
        self.norm = nn.BatchNorm2d(3)
        self.second = nn.Conv2d(3, 3, 2, stride=2, groups=3, bias=False)
        self.last = nn.Linear(12, 3)
        nn.init.normal_(self.norm.running_mean)
        nn.init.uniform_(self.norm.running_var, 0.5, 2)
        nn.init.normal_(self.norm.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.gelu(self.norm(self.first(x)))
        return self.last(self.second(x).flatten(1))


class Encoder(nn.Module):
    def __init__(self, norm_first: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.layers = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(
                4, 2, 6, dropout=0.3, activation="gelu", batch_first=True, norm_first=norm_first
            ),
            2,
        )
        self.last = nn.Linear(4, 3)

    def forward(self, tokens: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        hidden = self.layers(self.embedding(tokens), src_key_padding_mask=padding)
        kept = (~padding).unsqueeze(-1)
        return self.last((hidden * kept).sum(1) / kept.sum(1))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pack = nn.Linear(4, 12)
        self.last = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.pack(x).unsqueeze(1).chunk(3, dim=-1)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.last(mixed.squeeze(1).mean(1))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.recurrent = kind(3, 4, num_layers=2, batch_first=True, bidirectional=True)
        self.last = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.recurrent(x)[0][:, -1])


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Linear(3, 3)
        self.temperature = nn.Parameter(torch.tensor(1.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = torch.tanh(self.same(x))
        return x * self.temperature


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, 4)
        self.mix = nn.Linear(4, 4)
        self.decoder = nn.Linear(4, 6)
        self.decoder.weight = self.embedding.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.decoder(torch.tanh(self.mix(self.embedding(tokens))))


class Centres(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(4, 3))
        self.last = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.exp(-torch.cdist(x, self.centres) / 3))


class Branch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = [self.one(row) if row.sum() > 0 else torch.tanh(self.two(row)) for row in x]
        return torch.stack(rows)


class Square(torch.autograd.Function):
    """Written as for PyTorch before 2.0, which torch.func does not take."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * gradient


class OldFunction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(Square.apply(self.one(x)))


class Answer:
    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits


class Wrapped(nn.Module):
    def __init__(self, wrap: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
        self.wrap = wrap

    def forward(self, x: torch.Tensor) -> Any:
        return self.wrap(self.inner(x))


def frozen() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
    module[0].weight.requires_grad_(False)
    return module


def vectors() -> torch.Tensor:
    return torch.randn(5, 3)


def tokens() -> torch.Tensor:
    return torch.randint(0, 6, (5, 4))


def padded() -> dict[str, torch.Tensor]:
    lengths = torch.tensor([4, 1, 3, 2, 4])
    return {
        "tokens": torch.randint(0, 7, (5, 4)),
        "padding": torch.arange(4)[None] >= lengths[:, None],
    }


BUILDERS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any]]] = {
    "linear": (lambda: nn.Linear(3, 3), vectors),
    "mlp": (lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3)), vectors),
    "cnn": (Cnn, lambda: torch.randn(5, 2, 4, 4)),
    "encoder": (Encoder, padded),
    "encoder-norm-first": (lambda: Encoder(norm_first=True), padded),
    "attention": (Attention, lambda: torch.randn(5, 4, 4)),
    "lstm": (lambda: Recurrent(nn.LSTM), lambda: torch.randn(5, 3, 3)),
    "gru": (lambda: Recurrent(nn.GRU), lambda: torch.randn(5, 3, 3)),
    "reused": (Reused, vectors),
    "distances": (Centres, vectors),
    "branch": (Branch, vectors),
    "old-function": (OldFunction, vectors),
    "frozen": (frozen, vectors),
    "object": (lambda: Wrapped(Answer), vectors),
    "dict": (lambda: Wrapped(lambda logits: {"logits": logits}), vectors),
    "weight-norm": (
        lambda: nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, 3)
        ),
        vectors,
    ),
}

CASES = [*BUILDERS, "tied", "squares", "binary"]

TWICE = [name for name in CASES if name != "distances"]
"""Those that PyTorch can differentiate twice."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for ``case`` on every kind of model."""
    if "case_name" in metafunc.fixturenames:
        products = "curvature" in metafunc.module.__name__
        metafunc.parametrize("case_name", TWICE if products else CASES)


@pytest.fixture
def make_case() -> Callable[[str], Case]:
    def make(name: str) -> Case:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            if name == "tied":
                inputs: Any = tokens()
                return Case(
                    Tied().double(),
                    Batch(inputs, inputs, torch.arange(5)),
                    LanguageModeling(),
                    next_tokens,
                )
            if name == "squares":
                module: nn.Module = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2))
                targets = torch.randn(5, 2).double()
                batch = Batch(vectors().double(), targets, torch.arange(5))
                return Case(module.double(), batch, MeanSquaredError(), squares)
            if name == "binary":
                module = nn.Sequential(nn.Linear(3, 4), nn.Softplus(), nn.Linear(4, 1))
                batch = Batch(vectors().double(), torch.tensor([0, 1, 1, 0, 1]), torch.arange(5))
                return Case(module.double(), batch, BinaryCrossEntropy(), binary)
            build, data = BUILDERS[name]
            module, inputs = build(), data()
            batch = Batch(inputs, torch.tensor([0, 2, 1, 1, 0]), torch.arange(5))
            batch = batch.to("cpu", torch.float64)
            return Case(module.double(), batch, CrossEntropy(), cross_entropy)

    return make


@pytest.fixture
def case(case_name: str, make_case: Callable[[str], Case]) -> Case:
    return make_case(case_name)


@pytest.fixture(params=["whole", "tiles"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go through with everything in one tile, and with several of examples and of vectors."""
    if request.param == "tiles":
        monkeypatch.setattr(linearization, "CACHED_NUMBERS", 6 * 2 * 4)
        monkeypatch.setattr(linearization, "ROWS_TOGETHER", 4)
