"""Linear layers whose products are faster give what linear layers give."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from hessinf.gradients.layers import fast_linear as module
from hessinf.gradients.layers.fast_linear import fast_linear
from hessinf.gradients.pull_back import pull_back_together


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small products count as large."""
    monkeypatch.setattr(module, "FEWEST_FLOPS", 0)


@pytest.mark.parametrize("shape", [(5,), (7, 5), (2, 3, 5), (0, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients(shape: tuple[int, ...], bias: bool) -> None:
    inputs = torch.randn(shape, requires_grad=True)
    weight, beside = torch.randn(4, 5), torch.randn(4) if bias else None
    found = fast_linear(inputs, weight, beside)
    expected = functional.linear(inputs, weight, beside)
    torch.testing.assert_close(found, expected)
    cotangent = torch.randn(expected.shape)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, cotangent),
        torch.autograd.grad(expected, inputs, cotangent),
    )


def test_several_cotangents_together() -> None:
    inputs, weight = torch.randn(2, 3, 5, requires_grad=True), torch.randn(4, 5)
    cotangents = torch.randn(6, 2, 3, 4)
    (found,) = pull_back_together([fast_linear(inputs, weight)], [inputs], [cotangents])
    torch.testing.assert_close(found, cotangents @ weight)


def test_inputs_without_a_graph() -> None:
    inputs, weight = torch.randn(3, 5), torch.randn(4, 5)
    assert not fast_linear(inputs, weight).requires_grad


@pytest.mark.parametrize("kind", ["float64", "bfloat16", "small"])
def test_others_go_the_plain_way(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Linear, "apply", lambda *_: 1 / 0)
    dtype = torch.float32
    if kind == "small":
        monkeypatch.setattr(module, "FEWEST_FLOPS", 2 * 3 * 5 * 4 + 1)
    else:
        dtype = getattr(torch, kind)
    inputs, weight = torch.randn(3, 5, dtype=dtype), torch.randn(4, 5, dtype=dtype)
    assert torch.equal(fast_linear(inputs, weight), functional.linear(inputs, weight))
