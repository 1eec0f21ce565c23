"""Models of every kind of layer, gradients of them by a plain loop, and what both must agree in.

Each file of tests has a table ``KINDS``: functions of a :class:`Zoo` that give a module and inputs
of five examples. ``GENERAL`` says of some which parameters are left to the general route.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel
from hessinf.gradients.layers import LayerCapture, LayerGradients, Usage

COUNT = 5
"""How many examples there are."""


class Of(nn.Module):
    """Modules, parameters and buffers, and a function of them and inputs."""

    def __init__(self, function: Callable[..., Any], **held: Any) -> None:
        super().__init__()
        self.function = function
        for name, value in held.items():
            if isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, *args: Any, **named: Any) -> Any:
        return self.function(self, *args, **named)


class Zoo:
    """What models and their inputs are built of."""

    count = COUNT
    of = Of

    @staticmethod
    def rows(*shape: int) -> torch.Tensor:
        return torch.randn(COUNT, *shape)

    @staticmethod
    def ids(length: int = 6, largest: int = 7) -> torch.Tensor:
        return torch.randint(0, largest, (COUNT, length))

    @staticmethod
    def parameter(*shape: int) -> nn.Parameter:
        return nn.Parameter(torch.randn(shape))

    @staticmethod
    def randomized(norm: nn.Module) -> nn.Module:
        """Give a normalisation scales, shifts and running statistics other than 1 and 0."""
        for name, value in [*norm.named_parameters(), *norm.named_buffers()]:
            if value.is_floating_point():
                with torch.no_grad():
                    value.uniform_(0.5, 2) if "var" in name else value.normal_()
        return norm

    @staticmethod
    def padding() -> torch.Tensor:
        """Say which of six positions are padding: none or several at the end."""
        return torch.arange(6)[None] >= torch.tensor([6, 1, 3, 2, 6])[:, None]

    @classmethod
    def padded_ids(cls) -> dict[str, torch.Tensor]:
        padding = cls.padding()
        tokens = torch.randint(1, 7, (COUNT, 6)).masked_fill(padding, 0)
        return {"tokens": tokens, "padding": padding}

    @classmethod
    def padded_rows(cls) -> dict[str, torch.Tensor]:
        return {"x": torch.randn(COUNT, 6, 4), "padding": cls.padding()}


@dataclass
class Example:
    """A model of some kind, a batch in float64, and cotangents ``[K, B, ...]`` of its outputs."""

    module: nn.Module
    batch: Batch
    cotangents: torch.Tensor

    def gradients(self) -> dict[str, torch.Tensor]:
        """One backward pass an example and cotangent: ``[K, B, *shape]`` by name."""
        module = copy.deepcopy(self.module).eval()
        # Reentrant checkpoints take parameters for constants: models have a way without.
        module.plain = True  # type: ignore[assignment]
        named = {name: p for name, p in module.named_parameters() if p.requires_grad}
        found: dict[str, list[torch.Tensor]] = {name: [] for name in named}
        for cotangents in self.cotangents:
            for place in range(self.batch.size):
                inputs = self.batch.select(slice(place, place + 1)).inputs
                outputs = module(**inputs) if isinstance(inputs, dict) else module(inputs)
                gradients = torch.autograd.grad(
                    (outputs[0] * cotangents[place]).sum(),
                    list(named.values()),
                    allow_unused=True,
                    materialize_grads=True,
                )
                for name, gradient in zip(named, gradients, strict=True):
                    found[name].append(gradient)
        shape = self.cotangents.shape[:2]
        return {n: torch.stack(x).reshape(*shape, *named[n].shape) for n, x in found.items()}


@dataclass
class Kind:
    """An entry of a table ``KINDS``."""

    name: str
    build: Callable[[Any], tuple[nn.Module, Any]]
    general: tuple[str, ...]

    def example(self, device: str = "cpu", vectors: int = 2) -> Example:
        if device == "cuda" and not torch.cuda.is_available():
            pytest.skip("there is no CUDA device")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            module, inputs = self.build(Zoo)
            module = module.double().to(device).eval()
            batch = Batch(inputs, torch.zeros(COUNT), torch.arange(COUNT)).to(device, torch.float64)
            inputs = batch.inputs
            with torch.no_grad():
                outputs = module(**inputs) if isinstance(inputs, dict) else module(inputs)
            cotangents = torch.randn(vectors, *outputs.shape, dtype=torch.float64)
        return Example(module, batch, cotangents.to(device))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for ``kind`` on every kind of layer of its file."""
    kinds, general = (getattr(metafunc.module, name, {}) for name in ("KINDS", "GENERAL"))
    if kinds and "kind" in metafunc.fixturenames:
        listed = [Kind(name, build, general.get(name, ())) for name, build in kinds.items()]
        metafunc.parametrize("kind", listed, ids=list(kinds))
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])


def require_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """Require relative errors up to 1e-10; a gradient may be zero but for rounding."""
    assert list(found) == list(expected)
    whole = sum(float(value.norm() ** 2) for value in expected.values()) ** 0.5
    for name, value in expected.items():
        assert found[name].shape == value.shape
        error = float((found[name] - value).norm())
        assert error <= 1e-10 * float(value.norm()) + 1e-14 * whole, name


def multiplied(usage: Usage, out_features: int) -> torch.Tensor:
    """Sum the outer products of a usage, as its description says: ``[K, B, O, I]``."""
    if usage.gradient_side == "rows":
        return torch.einsum("kbso,bsi->kboi", usage.rows, usage.columns)
    hot = torch.nn.functional.one_hot(usage.rows, out_features).to(usage.columns)  # [B, S, O]
    return torch.einsum("bso,kbsi->kboi", hot, usage.columns)


class Checks:
    """What holds for every kind of layer."""

    def pull_back(self, example: Example) -> tuple[LayerCapture, LayerGradients]:
        model = FunctionalModel(example.module, device=example.batch.targets.device)
        capture = LayerCapture(model)
        with model.evaluating(), capture.recording(example.batch) as record:
            return capture, record.pull_back(example.cotangents)

    def gradients(self, kind: Kind, device: str) -> None:
        """Those of one backward pass an example, for several cotangents at once."""
        example = kind.example(device)
        capture, gradients = self.pull_back(example)
        require_equal(gradients.materialize(), example.gradients())
        assert set(capture.general) == set(kind.general)
        within = {name for unit in capture.units for name in unit.parameters}
        routes = [within, capture.elementwise, capture.general, capture.idle]
        assert sorted(name for route in routes for name in route) == sorted(
            capture.model.parameters
        )

    def uneven_batches(self, kind: Kind) -> None:
        """The same in batches of other sizes, one cotangent at a time."""
        example = kind.example(vectors=1)
        model = FunctionalModel(example.module)
        capture = LayerCapture(model)
        expected = example.gradients()
        with model.evaluating():
            for places in (slice(0, 2), slice(2, 5), slice(4, 5), slice(0, 5)):
                with capture.recording(example.batch.select(places)) as record:
                    gradients = record.pull_back(example.cotangents[:, places])
                part = {name: value[:, places] for name, value in expected.items()}
                require_equal(gradients.materialize(), part)

    def factors(self, kind: Kind) -> None:
        """Usages of units are factors of the gradients, and units make up their parameters."""
        example = kind.example()
        capture, gradients = self.pull_back(example)
        expected = example.gradients()
        assert len({unit.name for unit in capture.units}) == len(capture.units)
        rebuilt = {name: torch.full_like(value, torch.nan) for name, value in expected.items()}
        for unit in capture.units:
            matrix = unit.matrix(expected)  # [K, B, O, I]
            assert matrix.shape[-2:] == (unit.out_features, unit.in_features)
            total = torch.zeros_like(matrix)
            for usage in gradients.usages(unit):
                assert usage.columns.shape[-2] == usage.positions
                product = usage.product(unit.out_features)
                torch.testing.assert_close(product, multiplied(usage, unit.out_features))
                total += product
            torch.testing.assert_close(total, matrix, rtol=1e-10, atol=1e-13)
            unit.scatter(matrix, rebuilt)
        for name in {name for unit in capture.units for name in unit.parameters}:
            assert torch.equal(rebuilt[name], expected[name])

    def float32(self, kind: Kind) -> None:
        """In single precision, where convolutions go another way."""
        logging.getLogger("hessinf").setLevel(logging.ERROR)
        example = kind.example(vectors=1)
        model = FunctionalModel(example.module, dtype=torch.float32)
        batch = example.batch.to("cpu", torch.float32)
        with model.evaluating(), LayerCapture(model).recording(batch) as record:
            found = record.pull_back(example.cotangents.float()).materialize()
        for name, value in example.gradients().items():
            assert found[name].dtype == torch.float32
            torch.testing.assert_close(found[name].double(), value, rtol=1e-4, atol=1e-4)


@pytest.fixture
def check() -> Checks:
    return Checks()
