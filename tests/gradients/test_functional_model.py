"""The module is a function of its parameters, and is never changed."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn

from hessinf.gradients import (
    FunctionalModel,
    GaussNewtonProducts,
    GradientError,
    HessianProducts,
    PerExampleGradients,
)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Assert that values, modes, gradients, places, types and hooks stay as they are."""

    def facts() -> Any:
        tensors = [*module.named_parameters(), *module.named_buffers()]
        return (
            [
                (name, id(x), x.data_ptr(), x.dtype, x.device, x.requires_grad)
                for name, x in tensors
            ],
            [x.grad is None for x in module.parameters()],
            [(id(x), x.training) for x in module.modules()],
            [
                (len(x._forward_hooks), len(x._forward_pre_hooks), len(x._backward_hooks))
                for x in module.modules()
            ],
            torch.backends.mha.get_fastpath_enabled(),
            torch.is_grad_enabled(),
        )

    before, values = facts(), copy.deepcopy(module.state_dict())
    random = torch.random.get_rng_state()
    yield
    assert facts() == before
    assert torch.equal(torch.random.get_rng_state(), random)
    for name, value in module.state_dict().items():
        assert torch.equal(value, values[name]), name
    for submodule in module.modules():
        if isinstance(submodule, nn.RNNBase):
            own = [getattr(submodule, name) for name in submodule._flat_weights_names]
            assert all(a is b for a, b in zip(submodule._flat_weights, own, strict=True))


@pytest.mark.parametrize("dtype", [None, torch.float32])
def test_nothing_is_changed_by_any_derivative(case: Any, dtype: torch.dtype | None) -> None:
    case.module.train()
    list(case.module.modules())[-1].eval()  # flags differ from module to module
    with unchanged(case.module):
        model = FunctionalModel(case.module, dtype=dtype)
        batch = case.batch.to("cpu", model.dtype)
        with model.evaluating():
            gradients, _ = PerExampleGradients(model, case.objective.losses, "loss")(batch)
            for kind in (HessianProducts, GaussNewtonProducts):
                try:
                    kind(model, case.objective, [batch]).products(gradients.flatten())
                except GradientError:
                    assert type(case.module).__name__ == "Centres"


def test_blocks_within_blocks() -> None:
    module = network().train()
    module[1].eval()
    model = FunctionalModel(module)

    def modes() -> list[bool]:
        return [submodule.training for submodule in module.modules()]

    before = modes()
    with model.evaluating():
        assert not any(modes())
        with model.evaluating():
            assert not any(modes())
        assert not any(modes())
        module.train()  # by somebody who looks at a generator's first results
        with model.evaluating():
            assert not any(modes())
        assert all(modes())
    assert modes() == before
    with model.evaluating():
        assert not any(modes())
    assert modes() == before


def test_nothing_is_changed_by_an_exception() -> None:
    module = network().train()
    module[1].eval()
    with unchanged(module):
        model = FunctionalModel(module)
        with pytest.raises(RuntimeError, match="shapes"), model.evaluating():
            model.outputs(model.parameters, torch.ones(2, 7))


class SharedLayer(nn.Module):
    """One layer under two names, and one parameter in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.again = self.first
        self.tied = nn.Linear(3, 3)
        self.tied.weight = self.first.weight

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.tied(self.again(torch.tanh(self.first(inputs))))
        return outputs


def test_a_layer_under_two_names_keeps_its_own_parameters() -> None:
    torch.manual_seed(0)
    module = SharedLayer().double()
    model = FunctionalModel(module)
    inputs = torch.randn(5, 3, dtype=torch.float64)
    expected = module(inputs)
    assert list(model.parameters) == ["first.weight", "first.bias", "tied.bias"]

    def total(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return model.outputs(parameters, inputs).square().sum()

    with unchanged(module):
        gradients = torch.func.grad(total)(model.parameters)
        assert torch.equal(model.outputs(model.parameters, inputs), expected)
    assert all(isinstance(value, nn.Parameter) for value in module.parameters())
    own = torch.autograd.grad(expected.square().sum(), list(module.parameters()))
    for found, value in zip(gradients.values(), own, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-12, atol=1e-12)


class Remembering(nn.Module):
    """Keeps activations where people look at them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.activations: torch.Tensor | None = None
        self.calls = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.activations = self.newest = self.layer(inputs)
        return self.activations


def test_tensors_that_a_forward_pass_keeps_go_back() -> None:
    module = Remembering()
    model = FunctionalModel(module)
    with model.evaluating():
        torch.func.grad(lambda x: model.outputs(x, torch.ones(1, 3)).sum())(model.parameters)
        assert module.activations is not None
    assert module.activations is None
    assert not hasattr(module, "newest")
    assert module.calls == 1, "what is no tensor is the module's own affair"
    copy.deepcopy(module)


def test_inference_mode_is_refused() -> None:
    module = network()
    model = FunctionalModel(module)
    with (
        unchanged(module),
        torch.inference_mode(),
        pytest.raises(
            GradientError,
            match=re.escape(
                "derivatives cannot be taken inside torch.inference_mode(); call this outside of it"
            ),
        ),
        model.evaluating(),
    ):
        pass


def test_a_module_that_writes_into_buffers_keeps_its_own() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(2, 2)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return self.last(x)

    module = Counts()
    with unchanged(module):
        model = FunctionalModel(module)
        model.outputs(model.parameters, torch.ones(1, 2))


def test_buffers_are_used_as_they_are_in_evaluation() -> None:
    module = network().double()
    module[1].running_mean.normal_()
    model = FunctionalModel(module)
    x = torch.randn(5, 3).double()
    with model.evaluating():
        found = model.outputs(model.parameters, x)
    expected = module.eval()(x)
    assert torch.equal(found, expected)


def test_types_are_changed_in_copies() -> None:
    class Rotates(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))
            self.register_buffer("phase", torch.ones(2, dtype=torch.complex64))
            self.register_buffer("count", torch.ones(2, dtype=torch.int64))

    model = FunctionalModel(Rotates(), dtype=torch.float64)
    assert model.dtype == model.parameters["weight"].dtype == torch.float64
    assert model.constants["phase"].dtype == torch.complex128
    assert model.constants["count"].dtype == torch.int64


class TestSelection:
    def names(self, **arguments: Any) -> list[str]:
        return list(FunctionalModel(network(), **arguments).parameters)

    def test_all(self) -> None:
        assert self.names() == [
            "0.weight",
            "0.bias",
            "1.weight",
            "1.bias",
            "3.weight",
            "3.bias",
        ]

    def test_expressions_match_anywhere(self) -> None:
        assert self.names(params_to_freeze=["bias"]) == ["0.weight", "1.weight", "3.weight"]
        assert self.names(params_to_freeze=[r"^[01]\.", "3.b"]) == ["3.weight"]

    def test_frozen_parameters_are_left_out(self) -> None:
        module = network()
        module[0].requires_grad_(False)
        model = FunctionalModel(module)
        assert list(model.parameters) == ["1.weight", "1.bias", "3.weight", "3.bias"]
        assert {"0.weight", "0.bias", "1.running_mean"} <= set(model.constants)
        assert model.coverage == pytest.approx(18 / 34)

    def test_keep(self) -> None:
        module = network()
        module[0].requires_grad_(False)
        model = FunctionalModel(module, keep=["3.bias", "0.bias"])
        assert list(model.parameters) == ["0.bias", "3.bias"]

    def test_tied_parameters_count_once(self, make_case: Callable[[str], Any]) -> None:
        model = make_case("tied").model
        assert list(model.parameters) == [
            "embedding.weight",
            "mix.weight",
            "mix.bias",
            "decoder.bias",
        ]
        assert model.coverage == 1.0

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (
                {"params_to_freeze": ["head"]},
                'params_to_freeze: "head" matches no parameter; there are: 0.weight, 0.bias, '
                "1.weight, 1.bias, 3.weight, 3.bias",
            ),
            (
                {"params_to_freeze": ["("]},
                'params_to_freeze: "(" is no regular expression: missing ), unterminated '
                "subpattern at position 0",
            ),
            (
                {"params_to_freeze": ["weight", "bias"]},
                "no parameter is left: 6 of 6 are frozen by params_to_freeze=['weight', 'bias'], "
                "the others by requires_grad=False",
            ),
            (
                {"keep": ["0.weight", "nothing"]},
                "the model has no parameter nothing; there are: 0.weight, 0.bias, 1.weight, "
                "1.bias, 3.weight, 3.bias",
            ),
            ({"keep": []}, "no parameter is left: keep is empty, 6 exist"),
        ],
    )
    def test_errors(self, arguments: dict[str, Any], text: str) -> None:
        with pytest.raises(GradientError, match=f"^{re.escape(text)}$"):
            FunctionalModel(network(), **arguments)

    def test_no_parameters(self) -> None:
        with pytest.raises(
            GradientError,
            match=r"^the model has no parameters, so no example can have influenced it$",
        ):
            FunctionalModel(nn.ReLU())


def test_an_output_without_logits() -> None:
    class Tuple(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> Any:
            return (self.one(x),)

    model = FunctionalModel(Tuple())
    text = "the model returns a tuple; expected a tensor, or an object or dict with `logits`"
    with pytest.raises(GradientError, match=f"^{re.escape(text)}$"):
        model.outputs(model.parameters, torch.ones(1, 2))
