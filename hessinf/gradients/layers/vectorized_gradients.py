"""Gradients of one tensor for several cotangents at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hessinf.gradients.out_of_memory import is_out_of_memory
from hessinf.gradients.pull_back import pull_back, pull_back_together


def vectorized_gradients(
    outputs: torch.Tensor,
    targets: Sequence[Any],
    cotangents: torch.Tensor,
    *,
    keep_graph: bool = True,
) -> list[torch.Tensor | None]:
    """Pull cotangents back together where every operation on the way can be batched.

    Parameters
    ----------
    outputs
        Any shape, with a graph.
    targets
        Tensors or gradient edges.
    cotangents
        ``[K, *outputs.shape]``.
    keep_graph
        Whether it is pulled back through the graph again.

    Returns
    -------
    list of torch.Tensor or None
        ``[K, *shape]`` for each target; None where ``outputs`` do not depend on it.
    """
    if len(cotangents) == 0:
        nothing = pull_back([outputs], targets, [torch.zeros_like(outputs)])
        return [None if g is None else g.new_zeros(0, *g.shape) for g in nothing]
    if len(cotangents) > 1:
        try:
            return pull_back_together([outputs], targets, [cotangents])
        except RuntimeError as error:  # an operation that cannot be batched
            if is_out_of_memory(error):
                raise
    rows = [
        pull_back([outputs], targets, [cotangent], keep_graph=keep_graph or len(cotangents) > 1)
        for cotangent in cotangents
    ]
    return [_stacked(column) for column in zip(*rows, strict=True)]


def _stacked(gradients: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    present = [gradient for gradient in gradients if gradient is not None]
    if not present:
        return None
    return present[0].unsqueeze(0) if len(present) == 1 else torch.stack(present)
