"""The Hessian by taps against double backward, for models that use their layers in many ways."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.curvature import hessian_sums, hessian_taps
from hessinf.curvature.hessian_matrix import hessian_blocks
from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel, HessianProducts
from hessinf.models import BinaryCrossEntropy, CrossEntropy, MeanSquaredError, Objective
from hessinf.testing.optimum import draw_parameters, normal

EXAMPLES = 11
WEIGHT_DECAY = 0.03

Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


class Made(nn.Module):
    """Layers by name, and a function that uses them."""

    def __init__(self, forward: Forward, **layers: nn.Module | nn.Parameter) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self._uses = forward

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._uses(self, inputs)


def residual(self: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    hidden = self.first(inputs).tanh()
    hidden = hidden + self.second(hidden).sigmoid()
    return self.last(torch.cat([hidden, inputs], dim=1))


def heads(self: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    hidden = self.first(inputs).tanh()
    return torch.cat([self.one(hidden), self.other(hidden) * self.one(hidden).exp()], dim=1)


def reused(self: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    hidden = self.first(inputs).tanh()
    for _ in range(3):
        hidden = functional.softplus(self.again(hidden))
    return self.last(hidden)


def interleaved(self: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Calls layers in another order than they lie in."""
    hidden = self.last(inputs).tanh()
    hidden = self.first(self.again(hidden).tanh() * self.again(hidden + 1))
    return self.again(hidden.tanh())


def packed(self: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    query, key = functional.linear(inputs, self.weight[:4]), inputs @ self.weight[4:].T
    return functional.linear((query * key).tanh(), self.head, self.bias)


def transposed(self: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    hidden = torch.addmm(self.bias, inputs, self.weight).tanh()
    return hidden @ self.head


def general(self: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """A parameter that only automatic differentiation knows what to do with, beside layers."""
    hidden = (self.first(inputs) * (1 + self.scale**2).log()).tanh()
    return self.last(hidden)


def in_place(self: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    hidden = functional.elu(self.first(inputs), inplace=True)
    return self.last(functional.relu(hidden + 0.3, inplace=True) - 0.1)


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(*shape))


def gated(self: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """A layer that only some batches use."""
    hidden = self.first(inputs).tanh()
    asked = (inputs[:, :1] > 1.2).double()
    if bool(asked.any()):
        hidden = hidden + asked * self.late(hidden).tanh()
    return self.last(hidden)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "tanh": lambda: nn.Sequential(
        nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)
    ),
    "gelu": lambda: nn.Sequential(nn.Linear(4, 30), nn.GELU(), nn.Linear(30, 7), nn.Linear(7, 3)),
    "relu": lambda: nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 3)),
    "linear": lambda: nn.Linear(4, 3),
    "without biases": lambda: nn.Sequential(
        nn.Linear(4, 6, bias=False), nn.SiLU(), nn.Linear(6, 3, bias=False)
    ),
    "wide inputs": lambda: nn.Sequential(nn.Linear(4, 40), nn.Tanh(), nn.Linear(40, 3)),
    "residual": lambda: Made(
        residual, first=nn.Linear(4, 5), second=nn.Linear(5, 5), last=nn.Linear(9, 3)
    ),
    "heads": lambda: Made(heads, first=nn.Linear(4, 5), one=nn.Linear(5, 1), other=nn.Linear(5, 2)),
    "reused": lambda: Made(
        reused, first=nn.Linear(4, 5), again=nn.Linear(5, 5), last=nn.Linear(5, 3)
    ),
    "interleaved": lambda: Made(
        interleaved, first=nn.Linear(3, 5), again=nn.Linear(5, 3), last=nn.Linear(4, 5)
    ),
    "packed": lambda: Made(packed, weight=parameter(8, 4), head=parameter(3, 4), bias=parameter(3)),
    "transposed": lambda: Made(
        transposed, weight=parameter(4, 6), bias=parameter(6), head=parameter(6, 3)
    ),
    "general": lambda: Made(
        general, first=nn.Linear(4, 5), scale=parameter(5), last=nn.Linear(5, 3)
    ),
    "in place": lambda: Made(in_place, first=nn.Linear(4, 5), last=nn.Linear(5, 3)),
    "layer normalization": lambda: nn.Sequential(
        nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 3)
    ),
    "batch normalization": lambda: nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)
    ),
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(9, 3)
    ),
    "convolution at one position": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 5, 4), nn.Tanh(), nn.Flatten(), nn.Linear(5, 3)
    ),
    "several positions": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 2)), nn.Linear(2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6, 3)
    ),
    "one position of a sequence": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 4)), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3), nn.Flatten()
    ),
    "a layer that some use": lambda: Made(
        gated, first=nn.Linear(4, 5), late=nn.Linear(5, 5), last=nn.Linear(5, 3)
    ),
    "an idle layer": lambda: Made(
        residual,
        first=nn.Linear(4, 5),
        second=nn.Linear(5, 5),
        idle=nn.Linear(3, 2),
        last=nn.Linear(9, 3),
    ),
    "one layer for two": lambda: Made(
        lambda self, inputs: self.one(inputs.tanh()) + self.other(inputs), **shared_layers()
    ),
}


def shared_layers() -> dict[str, nn.Module]:
    one, other = nn.Linear(4, 3), nn.Linear(4, 3)
    other.weight = one.weight
    return {"one": one, "other": other}


def drawn(name: str) -> nn.Module:
    module = MODELS[name]().double()
    generator = torch.Generator().manual_seed(1)
    draw_parameters(module, generator)
    for submodule in module.modules():
        if isinstance(submodule, nn.BatchNorm1d):
            assert submodule.running_mean is not None
            submodule.running_mean.copy_(normal(generator, submodule.num_features))
    return module.eval()


def examples(count: int = EXAMPLES) -> Batch:
    generator = torch.Generator().manual_seed(2)
    inputs = normal(generator, count, 4)
    inputs[-1, 0] = 2.0  # the last one asks for the late layer
    inputs[:-1, 0].clamp_(max=1.0)
    targets = torch.randint(3, (count,), generator=generator)
    return Batch(inputs, targets, torch.arange(count))


def reference(model: FunctionalModel, objective: Objective, batch: Batch) -> torch.Tensor:
    """The Hessian of the mean loss by differentiating its gradient number by number."""
    theta = {name: x.clone().requires_grad_() for name, x in model.parameters.items()}
    loss = objective.losses(model.outputs(theta, batch.inputs), batch.targets).mean()
    values = list(theta.values())
    slopes = torch.autograd.grad(
        loss, values, create_graph=True, allow_unused=True, materialize_grads=True
    )
    rows = []
    for slope in slopes:
        for number in slope.flatten():
            row = [torch.zeros_like(value) for value in values]
            if number.requires_grad:
                row = list(
                    torch.autograd.grad(
                        number, values, retain_graph=True, allow_unused=True, materialize_grads=True
                    )
                )
            rows.append(torch.cat([part.flatten() for part in row]))
    return torch.stack(rows) + WEIGHT_DECAY * torch.eye(len(rows)).double()


def formed(
    module: nn.Module,
    objective: Objective,
    batches: list[Batch],
    blocks: dict[str, Collection[str]] | None = None,
    **arguments: object,
) -> dict[str, torch.Tensor]:
    dtype = next(module.parameters()).dtype

    def products(names: Collection[str] | None) -> HessianProducts:
        model = FunctionalModel(module, dtype=dtype, keep=names, **arguments)
        return HessianProducts(model, objective, batches, WEIGHT_DECAY, vectors_at_once=7)

    whole = {"all": list(products(None).model.parameters)}
    total = sum(batch.size for batch in batches)
    return dict(hessian_blocks(products, blocks or whole, total=total, stage="Hessian"))


def check(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.dtype == torch.float64
    assert torch.equal(found, found.T)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Collect what is said about falling back."""
    caplog.set_level(logging.INFO, logger="hessinf.curvature.hessian_matrix")
    return lambda: [
        record.getMessage()
        for record in caplog.records
        if record.name == "hessinf.curvature.hessian_matrix"
    ]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("sizes", [(11,), (4, 1, 6), (10, 1)])
def test_equals_double_backward(
    name: str, sizes: tuple[int, ...], said: Callable[[], list[str]]
) -> None:
    module, batch = drawn(name), examples()
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    batches = [
        batch.select(slice(start, start + size)) for start, size in zip(starts, sizes, strict=True)
    ]
    found = formed(module, CrossEntropy(), batches)["all"]
    check(found, reference(FunctionalModel(module), CrossEntropy(), batch))
    assert said() == []


@pytest.mark.parametrize("name", ["residual", "reused", "packed", "general", "convolution"])
def test_blocks(name: str, said: Callable[[], list[str]]) -> None:
    """Some parameters in an order of their own, weights without their biases, several together."""
    module, batch = drawn(name), examples()
    names = [name for name, _ in module.named_parameters()]
    blocks = {"even": names[::2], "odd": names[1::2]}
    found = formed(module, CrossEntropy(), [batch], blocks)
    assert list(found) == ["even", "odd"]
    model = FunctionalModel(module)
    whole = reference(model, CrossEntropy(), batch)
    places = model.layout.unflatten(torch.arange(model.layout.size))
    for block, inside in blocks.items():
        own = torch.cat([places[name].flatten() for name in inside])
        check(found[block], whole[own][:, own])
    assert said() == []


@pytest.mark.parametrize(
    ("objective", "targets"),
    [
        (MeanSquaredError(), torch.linspace(-1, 2, 33).double().view(11, 3)),
        (BinaryCrossEntropy(), torch.tensor([0, 1] * 5 + [1])),
    ],
)
def test_other_losses(objective: Objective, targets: torch.Tensor) -> None:
    module = drawn("tanh")
    if isinstance(objective, BinaryCrossEntropy):
        module = nn.Sequential(module, nn.Linear(3, 1).double())
        draw_parameters(module, torch.Generator().manual_seed(5))
    batch = Batch(examples().inputs, targets, torch.arange(11))
    found = formed(module, objective, [batch])["all"]
    check(found, reference(FunctionalModel(module), objective, batch))


def test_frozen_parameters() -> None:
    module, batch = drawn("tanh"), examples()
    module[0].weight.requires_grad_(False)
    module[2].bias.requires_grad_(False)
    found = formed(module, CrossEntropy(), [batch])["all"]
    check(found, reference(FunctionalModel(module), CrossEntropy(), batch))


def test_a_loss_that_is_linear_in_the_outputs() -> None:
    """Nothing is left but what layers move of each other."""
    from hessinf.models import CallableObjective

    objective = CallableObjective(lambda outputs, targets: outputs.sum(dim=1) * (1 + targets))
    for name in ("relu", "linear", "tanh"):
        module, batch = drawn(name), examples()
        found = formed(module, objective, [batch])["all"]
        check(found, reference(FunctionalModel(module), objective, batch))


@pytest.mark.parametrize("name", ["tanh", "convolution"])
def test_float32(name: str) -> None:
    module, batch = drawn(name), examples()
    expected = reference(FunctionalModel(module), CrossEntropy(), batch)
    found = formed(module.float(), CrossEntropy(), [batch.to("cpu", torch.float32)])["all"]
    assert found.dtype == torch.float64
    assert torch.equal(found, found.T)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_tiles_of_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little is worked on at once, the sums are the same."""
    from hessinf.curvature import outer_sums

    batch = examples(90)
    module = drawn("gelu")
    expected = reference(FunctionalModel(module), CrossEntropy(), batch)
    for numbers in (1, 700, 5000):
        for room in ("FACTORS_AT_ONCE", "ENTRIES_AT_ONCE", "PAIRS_AT_ONCE"):
            monkeypatch.setattr(outer_sums, room, numbers)
        monkeypatch.setattr(hessian_taps, "NUMBERS_AT_ONCE", numbers)
        monkeypatch.setattr(hessian_sums, "FEWEST_EXAMPLES", 13)
        monkeypatch.setattr(hessian_sums, "MOST_EXAMPLES", 13 + numbers)
        check(formed(module, CrossEntropy(), [batch])["all"], expected)


class TestFallingBack:
    """Row by row where taps do not do, which is said, and gives the same matrix."""

    def test_no_linear_layer(self, said: Callable[[], list[str]]) -> None:
        module = nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 2, 2), nn.Flatten(), nn.ELU())
        draw_parameters(module.double(), torch.Generator().manual_seed(5))
        batch = examples()
        found = formed(module, CrossEntropy(), [batch])["all"]
        check(found, reference(FunctionalModel(module), CrossEntropy(), batch))
        assert said() == [
            "no layer of the model is linear, known and used at one position of each example; its "
            "Hessian is formed row by row"
        ]

    def test_unconfirmed(
        self, said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Were the motion of later layers' inputs forgotten, products would tell."""
        monkeypatch.setattr(
            hessian_taps.TappedPass, "slopes", lambda self, place, others: [None] * len(others)
        )
        module, batch = drawn("tanh"), examples()
        found = formed(module, CrossEntropy(), [batch])["all"]
        check(found, reference(FunctionalModel(module), CrossEntropy(), batch))
        (line,) = said()
        assert line.startswith(
            "Hessian: products with vectors do not confirm what second derivatives in layers' "
            "outputs make of it (they differ by "
        )
        assert line.endswith("); it is formed row by row")

    def test_impossible(
        self, said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise RuntimeError("no rule for this\nat all")

        monkeypatch.setattr(hessian_taps, "pull_back_together", refuse)
        module, batch = drawn("tanh"), examples()
        found = formed(module, CrossEntropy(), [batch])["all"]
        check(found, reference(FunctionalModel(module), CrossEntropy(), batch))
        assert said() == [
            "the Hessian cannot be made of second derivatives in what layers give (no rule for "
            "this); it is formed row by row, which is slower and gives the same matrix"
        ]
