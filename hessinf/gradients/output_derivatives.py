"""``output_derivatives``: gradient and Hessian of losses in a model's outputs."""

from __future__ import annotations

import torch

from hessinf.gradients.linearization import NotLinearizableError
from hessinf.gradients.reverse_mode import pull_back, require_derivative
from hessinf.models import Objective

LARGEST_OUTPUT = 128
"""An example with more outputs has too large a Hessian."""


def output_derivatives(
    objective: Objective, outputs: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Differentiate losses in the outputs, once and twice.

    Parameters
    ----------
    objective
        The loss of every example.
    outputs
        ``[B, ...]``, C numbers an example.
    targets
        ``[B, ...]``.

    Returns
    -------
    torch.Tensor
        ``∂ℓ/∂f``, ``[B, C]``.
    torch.Tensor
        ``∂²ℓ/∂f²``, ``[B, C, C]``.

    Raises
    ------
    NotLinearizableError
        When an example has too many outputs.
    """
    count, size = len(outputs), outputs[0].numel()
    if size > LARGEST_OUTPUT:
        raise NotLinearizableError(f"an example has {size} outputs, more than {LARGEST_OUTPUT}")
    variable = outputs.detach().requires_grad_()
    with torch.enable_grad():
        total = objective.losses(variable, targets).sum()
        if not total.requires_grad:
            return outputs.new_zeros(count, size), outputs.new_zeros(count, size, size)
        (gradient,) = torch.autograd.grad(total, variable, create_graph=True)
        require_derivative([gradient])
        basis = torch.eye(size, dtype=outputs.dtype, device=outputs.device)  # [C, C]
        rows = basis.view(size, 1, *outputs.shape[1:]).expand(size, *outputs.shape)
        (second,) = pull_back([gradient], [variable], [rows], together=True)  # [C, B, ...]
    hessian = second.reshape(size, count, size).transpose(0, 1).contiguous()  # [B, C, C]
    return gradient.detach().reshape(count, size), hessian
