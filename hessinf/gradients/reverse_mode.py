"""Products with Jacobians and their transposes by plain reverse-mode automatic differentiation.

Unlike ``torch.func`` this goes through any module that PyTorch can differentiate twice, and needs
no rule for forward-mode differentiation. Many cotangents go back together where every operation on
the way can be batched, one after another otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hessinf.gradients import pull_back as backward


def require_derivative(outputs: Sequence[torch.Tensor]) -> None:
    """Look through a graph for operations that say they must not be differentiated again.

    Asked for a gradient, PyTorch takes them for constants where inputs may be unused: the result
    would be a zero, not an error.

    Raises
    ------
    RuntimeError
        When there is one.
    """
    waiting = [output.grad_fn for output in outputs if output.grad_fn is not None]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        if node.name().rpartition("::")[2] in ("Error", "DelayedError", "NotImplemented"):
            raise RuntimeError("an operation is marked as differentiable once only")
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)


def pull_back(
    outputs: Sequence[torch.Tensor],
    inputs: Sequence[torch.Tensor],
    cotangents: Sequence[torch.Tensor],
    *,
    together: bool,
) -> list[torch.Tensor]:
    """Multiply cotangents with the Jacobian of ``outputs`` in ``inputs``, from the left.

    Parameters
    ----------
    outputs
        Tensors of any shapes; those that depend on no input count as constants.
    inputs
        Tensors that they were computed from.
    cotangents
        One ``[K, *shape]`` for each output.
    together
        Whether all K go back at once.

    Returns
    -------
    list of torch.Tensor
        One ``[K, *shape]`` for each input.
    """
    count = len(cotangents[0])
    pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o.requires_grad]
    if not pairs:
        return [value.new_zeros(count, *value.shape) for value in inputs]
    varying = [output for output, _ in pairs]
    chosen = [cotangent for _, cotangent in pairs]
    if together:
        products = backward.pull_back_together(varying, inputs, chosen)
        return [
            value.new_zeros(count, *value.shape) if product is None else product.detach()
            for value, product in zip(inputs, products, strict=True)
        ]
    rows = [
        [
            torch.zeros_like(value) if product is None else product.detach()
            for value, product in zip(inputs, backward.pull_back(varying, inputs, row), strict=True)
        ]
        for row in zip(*chosen, strict=True)
    ]
    return [torch.stack(column) for column in zip(*rows, strict=True)]


def push_forward(
    outputs: torch.Tensor,
    inputs: Sequence[torch.Tensor],
    tangents: Sequence[torch.Tensor],
    *,
    together: bool,
    check: bool = False,
) -> torch.Tensor:
    """Multiply tangents with the Jacobian of ``outputs`` in ``inputs``, from the right.

    ``Jᵀu`` is linear in ``u``, and its Jacobian in ``u`` is ``Jᵀ``: pulled back twice is pushed
    forward.

    Parameters
    ----------
    outputs
        A tensor that was computed from the inputs.
    inputs
        Tensors.
    tangents
        One ``[K, *shape]`` for each input.
    together
        Whether all K go through at once.
    check
        Whether to look for operations that cannot be pulled back twice.

    Returns
    -------
    torch.Tensor
        ``[K, *outputs.shape]``.
    """
    count = len(tangents[0])
    if not outputs.requires_grad:
        return outputs.new_zeros(count, *outputs.shape)
    dummy = torch.zeros_like(outputs, requires_grad=True)
    pulled = backward.pull_back([outputs], inputs, [dummy], create_graph=True)
    used = [(p, t) for p, t in zip(pulled, tangents, strict=True) if p is not None]
    if check:
        require_derivative([p for p, _ in used])
    return pull_back([p for p, _ in used], [dummy], [t for _, t in used], together=together)[0]
