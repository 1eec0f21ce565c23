"""Pulling back equals ``torch.autograd.grad`` with ``grad_outputs``, bit for bit."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch

from hessinf.gradients.pull_back import pull_back, pull_back_together

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.complex128]


def two_outputs(dtype: torch.dtype) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Two outputs, and an input, an intermediate value and something that plays no part."""
    torch.manual_seed(0)
    inputs = torch.randn(5, 6, dtype=dtype, requires_grad=True)
    hidden = (inputs @ torch.randn(6, 4, dtype=dtype)).tanh()
    outputs = [hidden @ torch.randn(4, 3, dtype=dtype), hidden.sum(dim=1)]
    return outputs, [inputs, hidden, torch.zeros(2, dtype=dtype, requires_grad=True)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_cotangent_each(dtype: torch.dtype) -> None:
    outputs, targets = two_outputs(dtype)
    cotangents = [torch.randn_like(output) for output in outputs]
    found = pull_back(outputs, targets, cotangents)
    expected = torch.autograd.grad(outputs, targets, cotangents, allow_unused=True)
    assert found[2] is expected[2] is None
    for one, other in zip(found[:2], expected[:2], strict=True):
        assert one is not None
        assert torch.equal(one, other)


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("dtype", DTYPES)
def test_several_together(dtype: torch.dtype, count: int) -> None:
    outputs, targets = two_outputs(dtype)
    cotangents = [torch.randn(count, *output.shape, dtype=dtype) for output in outputs]
    found = pull_back_together(outputs, targets, cotangents)
    expected = torch.autograd.grad(
        outputs, targets, cotangents, allow_unused=True, is_grads_batched=True
    )
    assert found[2] is None
    for one, other in zip(found[:2], expected[:2], strict=True):
        assert one is not None
        assert torch.equal(one, other)


def test_nothing_reached() -> None:
    outputs, targets = two_outputs(torch.float32)
    cotangents = [torch.randn(3, *outputs[0].shape)]
    assert pull_back_together(outputs[:1], targets[2:], cotangents) == [None]


def test_gradient_edges_and_outputs_themselves() -> None:
    inputs = torch.randn(4, 3, requires_grad=True)
    outputs = inputs.exp()
    edge = torch.autograd.graph.get_gradient_edge(outputs)
    cotangent = torch.randn(4, 3)
    found = pull_back([outputs], [edge, outputs, inputs], [cotangent])
    for one, other in zip(found, (cotangent, cotangent, cotangent * outputs), strict=True):
        assert one is not None
        assert torch.equal(one, other.detach())


def test_outputs_without_a_graph_count_as_constants() -> None:
    inputs = torch.randn(3, requires_grad=True)
    found = pull_back([inputs * 2, torch.ones(2)], [inputs], [torch.ones(3), torch.ones(2)])
    assert found[0] is not None
    assert found[0].tolist() == [2, 2, 2]


def test_derivatives_in_the_cotangents_and_beyond() -> None:
    inputs = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    outputs = inputs.tanh()
    cotangent = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    (pulled,) = pull_back([outputs], [inputs], [cotangent], create_graph=True)
    assert pulled is not None
    tangent = torch.randn(4, 3, dtype=torch.float64)
    pushed, second = pull_back([pulled], [cotangent, inputs], [tangent])
    slope = 1 - outputs.detach() ** 2
    torch.testing.assert_close(pushed, tangent * slope)
    torch.testing.assert_close(second, -2 * outputs.detach() * slope * cotangent.detach() * tangent)


def test_another_precision_is_converted() -> None:
    inputs = torch.randn(3, requires_grad=True)
    (found,) = pull_back([inputs * 2], [inputs], [torch.ones(3, dtype=torch.float64)])
    assert found is not None
    assert found.dtype == torch.float32
    assert found.tolist() == [2, 2, 2]


def test_another_shape_is_refused() -> None:
    inputs = torch.randn(4, 3, requires_grad=True)
    text = "the cotangent has shape [3], expected [4, 3]"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        pull_back([inputs * 2], [inputs], [torch.ones(3)])


def test_imports_nothing() -> None:
    program = (
        "import sys, torch\n"
        "from hessinf.gradients.pull_back import pull_back, pull_back_together\n"
        "x = torch.randn(3, requires_grad=True)\n"
        "y = x.exp()\n"
        "pull_back([y], [x], [torch.ones(3)], create_graph=True)\n"
        "pull_back_together([y], [x], [torch.ones(2, 3)])\n"
        "assert 'sympy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
