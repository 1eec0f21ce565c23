"""Models whose matrices are used in every way, and their gradients by one backward pass each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel, PerExampleGradients

EXAMPLES, QUERIES = 7, 4


class Texts(nn.Module):
    """An embedding with padding, a scale, and a linear layer at every position."""

    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, 4, padding_idx=0)
        self.hidden = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.out = None if tied else nn.Linear(4, 6)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(self.hidden(self.embedding(tokens)).tanh())  # [B, S, 4]
        if self.out is None:
            hidden = functional.linear(hidden, self.embedding.weight)
        else:
            hidden = self.out(hidden)
        return hidden.sum(1)  # [B, 6]


class Reused(nn.Module):
    """One layer twice, once without its bias, a scalar, and a function that is not known."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 5)
        self.centres = nn.Parameter(torch.randn(3, 5))
        self.scale = nn.Parameter(torch.tensor(0.7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.layer(x).tanh() * self.scale
        hidden = functional.linear(hidden, self.layer.weight).tanh()
        return torch.einsum("bi,ci->bc", hidden, self.centres)


class Transposed(nn.Module):
    """A linear layer whose weight lies as [I, O], at one position or at several."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 3))
        self.bias = nn.Parameter(torch.randn(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.addmm(self.bias, x.reshape(-1, 5), self.weight).tanh()
        return out.reshape(*x.shape[:-1], 3).flatten(1, -2).sum(1) if x.ndim > 2 else out


def convolutions(groups: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(groups, 2 * groups, 3, padding=1, groups=groups),
        nn.Tanh(),
        nn.Conv2d(2 * groups, 3, 2, stride=2, bias=False),
        nn.Flatten(),
    )


KINDS: dict[str, tuple[Callable[[], nn.Module], Callable[[int], torch.Tensor]]] = {
    "mlp": (
        lambda: nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3, bias=False)),
        lambda n: torch.randn(n, 5),
    ),
    "positions": (
        lambda: nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3), nn.Flatten()),
        lambda n: torch.randn(n, 4, 5),
    ),
    "texts": (lambda: Texts(tied=False), lambda n: torch.randint(0, 6, (n, 5))),
    "tied": (lambda: Texts(tied=True), lambda n: torch.randint(0, 6, (n, 5))),
    "words": (
        lambda: nn.Sequential(nn.Embedding(6, 4), nn.Flatten(), nn.Linear(4, 3)),
        lambda n: torch.randint(0, 6, (n, 1)),
    ),
    "convolutions": (lambda: convolutions(2), lambda n: torch.randn(n, 2, 4, 4)),
    "depthwise": (lambda: convolutions(9), lambda n: torch.randn(n, 9, 4, 4)),
    "reused": (Reused, lambda n: torch.randn(n, 5)),
    "transposed": (Transposed, lambda n: torch.randn(n, 5)),
    "transposed-positions": (Transposed, lambda n: torch.randn(n, 4, 5)),
    "attention": (
        lambda: nn.Sequential(
            nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True), nn.Flatten()
        ),
        lambda n: torch.randn(n, 3, 4),
    ),
    "recurrent": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Unflatten(1, (1, 4)), Last()),
        lambda n: torch.randn(n, 6),
    ),
}


class Last(nn.Module):
    """A recurrent layer, which goes the general route, and its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.RNN(4, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.recurrent(x)[0][:, -1]


@dataclass
class Case:
    """A model, training examples and queries."""

    model: FunctionalModel
    train: Batch
    queries: Batch

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(outputs, targets, reduction="none")

    @property
    def compute(self) -> PerExampleGradients:
        return PerExampleGradients(self.model, self.losses, "loss")

    def reference(self, batch: Batch) -> torch.Tensor:
        """Compute one gradient an example, one backward pass after another: ``[B, P]``."""
        leaves = {n: x.clone().requires_grad_() for n, x in self.model.parameters.items()}
        rows = []
        for place in range(batch.size):
            one = batch.select(slice(place, place + 1))
            loss = self.losses(self.model.outputs(leaves, one.inputs), one.targets).sum()
            found = torch.autograd.grad(
                loss, list(leaves.values()), allow_unused=True, materialize_grads=True
            )
            rows.append(torch.cat([x.flatten() for x in found]))
        return torch.stack(rows)


def make_case(kind: str, dtype: torch.dtype = torch.float64) -> Case:
    make, draw = KINDS[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = make().eval()
        model = FunctionalModel(module, dtype=dtype)
        parts = []
        for count in (EXAMPLES, QUERIES):
            inputs = draw(count)
            if inputs.is_floating_point():
                inputs = inputs.to(dtype)
            with torch.no_grad():
                outputs = model.outputs(model.parameters, inputs)
            targets = torch.randint(0, outputs.shape[1], (count,))
            parts.append(Batch(inputs, targets, torch.arange(count)))
    return Case(model, *parts)


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest) -> Case:
    return make_case(request.param)


@pytest.fixture(name="make_case")
def case_maker() -> Callable[..., Case]:
    return make_case
