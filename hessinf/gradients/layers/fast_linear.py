"""``fast_linear``: linear layers whose products are the fastest that PyTorch has."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from hessinf.runtime.float32_products import float32_products

FEWEST_FLOPS = 1 << 26
"""Smaller products are not worth the kernel that is made first for their shape."""


class _Linear(torch.autograd.Function):
    """``x Wᵀ + b``, differentiated in x ``[n, I]`` alone."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        with float32_products():
            return functional.linear(inputs, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: torch.Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (weight,) = ctx.saved_tensors
        with float32_products():
            return gradients[0] @ weight, None, None


def fast_linear(
    input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Compute :func:`torch.nn.functional.linear`, where weight and bias need no gradient.

    The graph has derivatives in ``input`` only, of first order.

    Parameters
    ----------
    input
        ``[..., I]``.
    weight
        ``[O, I]``.
    bias
        ``[O]``, or None.
    """
    on_cpu = input.device.type == "cpu" and weight.ndim == 2
    large = 2 * input.numel() * len(weight) >= FEWEST_FLOPS
    if not on_cpu or not large or input.dtype != torch.float32 or weight.dtype != torch.float32:
        return functional.linear(input, weight, bias)
    multiply: Any = _Linear.apply
    found: torch.Tensor = multiply(input.reshape(-1, input.shape[-1]), weight, bias)
    return found.view(*input.shape[:-1], len(weight))
