"""Gradients of one tensor for several cotangents at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hessinf.gradients.out_of_memory import is_out_of_memory


def vectorized_gradients(
    outputs: torch.Tensor, targets: Sequence[Any], cotangents: torch.Tensor
) -> list[torch.Tensor | None]:
    """Pull cotangents back together where every operation on the way can be batched.

    Parameters
    ----------
    outputs
        Any shape, with a graph, which is kept.
    targets
        Tensors or gradient edges.
    cotangents
        ``[K, *outputs.shape]``.

    Returns
    -------
    list of torch.Tensor or None
        ``[K, *shape]`` for each target; None where ``outputs`` do not depend on it.
    """

    def pull(cotangent: torch.Tensor, batched: bool) -> tuple[torch.Tensor | None, ...]:
        return torch.autograd.grad(
            outputs,
            targets,
            cotangent,
            retain_graph=True,
            allow_unused=True,
            is_grads_batched=batched,
        )

    if len(cotangents) == 0:
        nothing = pull(torch.zeros_like(outputs), False)
        return [None if g is None else g.new_zeros(0, *g.shape) for g in nothing]
    if len(cotangents) > 1:
        try:
            return list(pull(cotangents, True))
        except RuntimeError as error:  # an operation that cannot be batched
            if is_out_of_memory(error):
                raise
    rows = [pull(cotangent, False) for cotangent in cotangents]
    return [_stacked(column) for column in zip(*rows, strict=True)]


def _stacked(gradients: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    present = [gradient for gradient in gradients if gradient is not None]
    if not present:
        return None
    return present[0].unsqueeze(0) if len(present) == 1 else torch.stack(present)
