"""What a capture gives, what it leaves of the model, and what it refuses."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel, GradientError
from hessinf.gradients.layers import LayerCapture


def batch_of(inputs: Any) -> Batch:
    first = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
    return Batch(inputs, torch.zeros(len(first)), torch.arange(len(first)))


def units_of(module: nn.Module, inputs: Any) -> tuple[LayerCapture, dict[str, list[str]]]:
    """Name the units of a model, and the modules of their usages."""
    model = FunctionalModel(module)
    capture = LayerCapture(model)
    with model.evaluating(), capture.recording(batch_of(inputs)) as record:
        gradients = record.pull_back(torch.randn(1, *record.outputs.shape))
    return capture, {u.name: [x.module for x in gradients.usages(u)] for u in capture.units}


class Tied(nn.Module):
    """A layer used twice, packed attention, groups, tied weights, scales, an idle layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.again = nn.Linear(4, 4, bias=False)
        self.convolution = nn.Conv1d(4, 4, 3, padding=1, groups=2)
        self.norm = nn.LayerNorm(4)
        self.decoder = nn.Linear(4, 7)
        self.decoder.weight = self.embedding.weight
        self.idle = nn.Linear(4, 4)
        self.scale = nn.PReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embedding(x)
        others = x.flip(1)
        x = self.attention(x, others, others)[0]
        x = self.again(self.again(x).tanh())
        x = self.norm(self.convolution(x.mT).mT)
        return self.decoder(self.scale(x))


def test_routes_units_and_modules() -> None:
    capture, modules = units_of(Tied(), torch.randint(0, 7, (4, 5)))
    assert modules == {
        "embedding": ["embedding:embedding", "decoder:linear"],
        "attention.in_proj_weight[0:4]": ["attention:linear"],
        "attention.in_proj_weight[4:12]": ["attention:linear"],
        "attention.out_proj": ["attention.out_proj:linear"],
        "again": ["again:linear", "again:linear"],
        "convolution.weight[0:2]": ["convolution:convolution"],
        "convolution.weight[2:4]": ["convolution:convolution"],
    }
    assert capture.elementwise == ("norm.weight", "norm.bias")
    assert capture.general == ("scale.weight",)
    assert capture.idle == ("idle.weight", "idle.bias")
    by_name = {unit.name: unit for unit in capture.units}
    embedding = by_name["embedding"]
    assert (embedding.weight, embedding.bias) == ("embedding.weight", "decoder.bias")
    assert (embedding.out_features, embedding.in_features) == (7, 5)
    packed = by_name["attention.in_proj_weight[4:12]"]
    assert (packed.rows, packed.bias_rows) == (range(4, 12), range(4, 12))
    assert (packed.bias, packed.in_features) == ("attention.in_proj_bias", 5)
    assert by_name["again"].bias is None
    grouped = by_name["convolution.weight[2:4]"]
    assert (grouped.out_features, grouped.in_features) == (2, 2 * 3 + 1)
    assert grouped.parameters == ("convolution.weight", "convolution.bias")


def test_routes() -> None:
    capture, _ = units_of(Tied(), torch.randint(0, 7, (4, 5)))
    covered = capture.routes
    assert list(covered) == ["layers", "elementwise", "general", "idle"]
    assert covered["layers"][:3] == (
        "embedding.weight",
        "attention.in_proj_weight",
        "attention.in_proj_bias",
    )
    names = [name for names in covered.values() for name in names]
    assert sorted(names) == sorted(capture.model.parameters)


def test_no_cotangents() -> None:
    model = FunctionalModel(Tied())
    capture = LayerCapture(model)
    with model.evaluating(), capture.recording(batch_of(torch.randint(0, 7, (4, 5)))) as record:
        found = record.pull_back(torch.zeros(0, 4, 5, 7)).materialize()
    for name, value in found.items():
        assert value.shape == (0, 4, *model.parameters[name].shape)


def test_reasons_are_kept() -> None:
    capture, _ = units_of(Tied(), torch.randint(0, 7, (4, 5)))
    assert dict(capture.plan.general) == {"scale.weight": '"prelu" uses it'}


def test_padding_has_no_gradient() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
            return (self.a(x) * (~padding).unsqueeze(-1)).sum(1)

    padding = torch.arange(6)[None] >= torch.tensor([6, 2, 4])[:, None]
    model = FunctionalModel(Masked())
    batch = batch_of({"x": torch.randn(3, 6, 4), "padding": padding})
    capture = LayerCapture(model)
    with capture.recording(batch) as record:
        gradients = record.pull_back(torch.randn(2, 3, 3))
    (usage,) = gradients.usages(capture.units[0])
    assert torch.equal((usage.gradient != 0).any(-1), (~padding).expand(2, 3, 6))


class Watching(nn.Module):
    """Notes what its parameters are like while it runs, and fails when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
        self.seen: list[bool] = []
        self.fails = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] == 6:  # not one of the few that are learnt from
            self.seen += [parameter.requires_grad for parameter in self.parameters()]
        self.kept = self.layers(x)
        if self.fails:
            raise ValueError("no more")
        return self.kept


def state_of(module: nn.Module) -> list[Any]:
    found: list[Any] = []
    for submodule in module.modules():
        found.append(submodule.training)
        found += [
            (name, sorted(value) if isinstance(value, dict) else id(value))
            for name, value in sorted(vars(submodule).items())
        ]
        found += [len(value) for name, value in vars(submodule).items() if "hooks" in name]
    for name, parameter in module.named_parameters():
        found += [name, id(parameter), parameter.requires_grad, parameter.grad, parameter._version]
        found += parameter.flatten().tolist()
    return found


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_on_the_model(fails: bool) -> None:
    module = Watching().train()
    module.layers[0].weight.grad = torch.ones(4, 4)
    module.layers[2].bias.requires_grad_(False)
    batch = batch_of(torch.randn(6, 4))
    before, copied = state_of(module), copy.deepcopy(module.state_dict())
    model = FunctionalModel(module)
    capture = LayerCapture(model)
    hooks = copy.copy(torch.nn.modules.module._global_forward_hooks)
    with model.evaluating(), capture.recording(batch) as record:
        record.pull_back(torch.randn(2, 6, 3)).materialize()
    if fails:
        module.fails = True
        with (
            pytest.raises(ValueError, match="no more"),
            model.evaluating(),
            capture.recording(batch),
        ):
            raise AssertionError
        module.fails = False
    assert state_of(module) == before
    assert torch.nn.modules.module._global_forward_hooks == hooks
    for name, value in module.state_dict().items():
        assert torch.equal(value, copied[name])
    assert torch.overrides._get_current_function_mode() is None


def test_no_parameter_requires_a_gradient_and_none_is_computed() -> None:
    module = Watching()
    model = FunctionalModel(module)
    capture = LayerCapture(model)
    with model.evaluating(), capture.recording(batch_of(torch.randn(6, 4))) as record:
        assert record._pass is not None
        waiting = [record._pass.outputs.grad_fn]
        leaves = []
        while waiting:
            node = waiting.pop()
            if hasattr(node, "variable"):
                leaves.append(node.variable)
            waiting += [following for following, _ in node.next_functions if following is not None]
    assert module.seen
    assert not any(module.seen)
    assert leaves
    assert all(leaf.shape == () for leaf in leaves)  # what makes the graph begin


def test_outputs_are_those_of_the_model() -> None:
    module = Tied().eval()
    inputs = torch.randint(0, 7, (4, 5))
    model = FunctionalModel(module)
    with model.evaluating(), LayerCapture(model).recording(batch_of(inputs)) as record:
        torch.testing.assert_close(record.outputs, module(inputs).detach(), rtol=1e-5, atol=1e-6)
        assert not record.outputs.requires_grad


def test_two_captures_give_the_same_bits() -> None:
    module, inputs = Tied(), torch.randint(0, 7, (4, 5))
    cotangents = torch.randn(2, 4, 5, 7)
    found = []
    for _ in range(2):
        model = FunctionalModel(module)
        with model.evaluating(), LayerCapture(model).recording(batch_of(inputs)) as record:
            found.append(record.pull_back(cotangents).flatten())
    assert torch.equal(*found)


def test_what_was_learnt_is_shared() -> None:
    model = FunctionalModel(nn.Linear(4, 3))
    one, other = LayerCapture(model), LayerCapture(model)
    with one.recording(batch_of(torch.randn(2, 4))):
        pass
    assert other.units == one.units


class TestErrors:
    def capture(self) -> LayerCapture:
        return LayerCapture(FunctionalModel(nn.Linear(4, 3)))

    def test_before_the_first_recording(self) -> None:
        text = "what layers a model has is known after the first recording only"
        with pytest.raises(GradientError, match=f"^{text}$"):
            self.capture().units  # noqa: B018

    def test_after_the_recording(self) -> None:
        with self.capture().recording(batch_of(torch.randn(2, 4))) as record:
            pass
        text = "the recording has ended; pull back inside its `with` block"
        with pytest.raises(GradientError, match=f"^{re.escape(text)}$"):
            record.pull_back(torch.randn(1, 2, 3))

    def test_cotangents_of_another_shape(self) -> None:
        text = (
            "the cotangents have shape [2, 3]; expected [K, 2, 3]: K times the shape of the outputs"
        )
        with (
            self.capture().recording(batch_of(torch.randn(2, 4))) as record,
            pytest.raises(GradientError, match=f"^{re.escape(text)}$"),
        ):
            record.pull_back(torch.randn(2, 3))


class TestWritingIntoParameters:
    def refused(self, module: nn.Module, inputs: torch.Tensor, text: str) -> None:
        before = copy.deepcopy(module.state_dict())
        model = FunctionalModel(module)
        with (
            pytest.raises(GradientError, match=f"^{re.escape(text)}$"),
            model.evaluating(),
            LayerCapture(model).recording(batch_of(inputs)),
        ):
            raise AssertionError
        for name, value in module.state_dict().items():
            assert torch.equal(value, before[name])

    def test_a_clamp(self) -> None:
        class Clamped(nn.Linear):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                with torch.no_grad():
                    self.weight.clamp_(-0.1, 0.1)
                return super().forward(x)

        self.refused(
            nn.Sequential(nn.Linear(4, 4), Clamped(4, 3)),
            torch.randn(3, 4),
            'the module "1" writes into its parameter "1.weight" in its forward pass (clamp_); it '
            "has no derivatives there, and the model would be changed: let it do so in training "
            "only",
        )

    def test_an_embedding_with_a_largest_norm(self) -> None:
        self.refused(
            nn.Sequential(nn.Embedding(7, 4, max_norm=0.1)),
            torch.randint(0, 7, (3, 2)),
            'the module "0" writes into its parameter "0.weight" in its forward pass (embedding); '
            "it has no derivatives there, and the model would be changed: let it do so in training "
            "only",
        )


def test_a_parameter_that_is_a_view_of_another() -> None:
    class Flat(nn.Module):
        """Its weights are parts of one piece of memory, and lie transposed in it."""

        def __init__(self) -> None:
            super().__init__()
            memory = torch.randn(32).double()
            self.a = nn.Parameter(memory[:16].reshape(4, 4).t())
            self.b = nn.Parameter(memory[16:28].reshape(3, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.linear(functional.linear(x, self.a).tanh(), self.b)

    module = Flat()
    x, cotangent = torch.randn(3, 4).double(), torch.randn(1, 3, 3).double()
    model = FunctionalModel(module)
    capture = LayerCapture(model)
    with capture.recording(batch_of(x)) as record:
        found = record.pull_back(cotangent).materialize()
    assert [unit.name for unit in capture.units] == ["a", "b"]
    for place in range(3):
        outputs = (module(x[place]) * cotangent[0, place]).sum()
        expected = torch.autograd.grad(outputs, [module.a, module.b])
        torch.testing.assert_close(found["a"][0, place], expected[0])
        torch.testing.assert_close(found["b"][0, place], expected[1])
