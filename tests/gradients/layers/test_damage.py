"""What would happen if something were ignored: comparisons fail, and the probe notices."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from hessinf.gradients.layers import call_recorder, forward_pass, learning
from hessinf.gradients.layers.call import Call
from hessinf.gradients.layers.call_recorder import CallRecorder
from hessinf.gradients.layers.convolution import ConvolutionCall
from hessinf.gradients.layers.embedding import EmbeddingCall
from hessinf.gradients.layers.example_axis import ExampleAxis
from hessinf.gradients.layers.normalization import NormalizationCall

KINDS = {
    "groups": lambda z: (
        nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.Tanh(), nn.Flatten()),
        z.rows(4, 5, 5),
    ),
    "reuse": lambda z: (
        z.of(lambda m, x: m.a(torch.tanh(m.a(x))) + m.b(x), a=nn.Linear(4, 4), b=nn.Linear(4, 4)),
        z.rows(4),
    ),
    "mask": lambda z: (
        z.of(
            lambda m, x, padding: (m.a(x).tanh() * (~padding).unsqueeze(-1)).sum(1),
            a=nn.Linear(4, 3),
        ),
        z.padded_rows(),
    ),
    "padding-id": lambda z: (
        nn.Sequential(nn.Embedding(3, 4, padding_idx=1), nn.Tanh(), nn.Linear(4, 3)),
        z.ids(6, 3),
    ),
    "examples-second": lambda z: (
        z.of(
            lambda m, x: m.a(x.transpose(0, 1).flatten(0, 1)).tanh().reshape(6, -1, 3).sum(0),
            a=nn.Linear(4, 3),
        ),
        z.rows(6, 4),
    ),
    "normalization": lambda z: (nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)), z.rows(6, 4)),
    "writing": lambda z: (
        nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True), nn.Linear(3, 3)),
        z.rows(6, 4),
    ),
}


def ignore_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every group see the channels of the first."""
    real = ConvolutionCall.__init__

    def init(self: Any, views: Any, inputs: Any, *args: Any) -> None:
        groups = args[-1]
        channels = inputs["input"].chunk(groups, 1)[0]
        real(self, views, {"input": channels.repeat(1, groups, 1, 1)}, *args)

    monkeypatch.setattr(ConvolutionCall, "__init__", init)


def ignore_reuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the first call of a layer only."""
    real = CallRecorder._keep

    def keep(self: Any, call: Call, result: torch.Tensor) -> torch.Tensor:
        found = real(self, call, result)
        if not call.site.endswith(":0"):
            self.calls.remove(call)
        return found

    monkeypatch.setattr(CallRecorder, "_keep", keep)


def ignore_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run forward as if nothing were padding."""
    monkeypatch.setattr(
        forward_pass,
        "detached",
        lambda inputs: inputs | {"padding": torch.zeros_like(inputs["padding"])},
    )


def ignore_padding_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmbeddingCall, "padding_idx", property(lambda _: None, lambda *_: None))


def ignore_where_examples_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "find_axis", lambda *_: ExampleAxis(0))


def ignore_normalization(monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_is = property(lambda _: lambda x: x, lambda *_: None)
    monkeypatch.setattr(NormalizationCall, "normalize", as_it_is, raising=False)


def take_gradients_after_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for the gradient in what an activation has made of the output."""

    real = CallRecorder._keep

    def keep(self: Any, call: Call, result: torch.Tensor) -> torch.Tensor:
        found = real(self, call, result)
        call.edge = found
        return found

    monkeypatch.setattr(CallRecorder, "_keep", keep)


DAMAGE: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], set[str]]] = {
    "groups": (ignore_groups, {"0.weight"}),
    "reuse": (ignore_reuse, {"a.weight", "a.bias"}),
    "mask": (ignore_mask, {"a.weight", "a.bias"}),
    "padding-id": (ignore_padding_id, {"0.weight"}),
    "examples-second": (ignore_where_examples_lie, {"a.weight", "a.bias"}),
    "normalization": (ignore_normalization, {"1.weight"}),
    "writing": (take_gradients_after_writing, {"0.weight", "0.bias"}),
}


def test_undamaged(kind: Any, check: Any) -> None:
    check.gradients(kind, "cpu")


def test_the_comparison_fails_without_the_probe(
    kind: Any, check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage, _ = DAMAGE[kind.name]
    damage(monkeypatch)
    monkeypatch.setattr(learning, "_disagreeing", lambda *_: [])
    with pytest.raises(AssertionError):
        check.gradients(kind, "cpu")


def test_the_probe_sends_it_the_general_route(
    kind: Any,
    check: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damage, names = DAMAGE[kind.name]
    damage(monkeypatch)
    kind.general = tuple(names)
    with caplog.at_level(logging.WARNING):
        check.gradients(kind, "cpu")
    (record,) = caplog.records
    listed = ", ".join(name for name in kind.example().gradients() if name in names)
    assert record.getMessage() == (
        f"the gradients of {listed} cannot be made of what layers receive and give back; they go "
        "the general route, which is slower and right"
    )


def test_every_damage_is_of_a_part_that_exists() -> None:
    assert DAMAGE.keys() == KINDS.keys()
    assert call_recorder.CallRecorder is CallRecorder
