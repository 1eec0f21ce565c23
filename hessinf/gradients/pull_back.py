"""Gradients of tensors for given cotangents, at the cost of the backward pass alone.

``torch.autograd.grad`` compares the shapes of ``grad_outputs`` by symbolic algebra, and imports
500 modules for it the first time: half a second and 40 MB. Here the cotangents come in by a hook on
a scalar's gradient; the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.func import vmap


def pull_back(
    outputs: Sequence[torch.Tensor],
    targets: Sequence[Any],
    cotangents: Sequence[torch.Tensor],
    *,
    create_graph: bool = False,
    keep_graph: bool = True,
) -> tuple[torch.Tensor | None, ...]:
    """Pull one cotangent of each output back.

    Parameters
    ----------
    outputs
        Tensors with a graph.
    targets
        Tensors or gradient edges.
    cotangents
        One for each output, of its shape.
    create_graph
        Whether what is found can be differentiated, in the cotangents too.
    keep_graph
        Whether the graph is used again; activations are let go as soon as they were used, if not.

    Returns
    -------
    tuple of torch.Tensor or None
        One for each target; None where no output depends on it.
    """
    with torch.enable_grad():
        total = sum(map(_seeded, outputs, cotangents))
    return torch.autograd.grad(
        total,  # type: ignore[arg-type]
        targets,
        retain_graph=keep_graph,
        create_graph=create_graph,
        allow_unused=True,
    )


def pull_back_together(
    outputs: Sequence[torch.Tensor], targets: Sequence[Any], cotangents: Sequence[torch.Tensor]
) -> list[torch.Tensor | None]:
    """Pull K cotangents of each output back in one pass.

    Parameters
    ----------
    outputs, targets
        As for :func:`pull_back`.
    cotangents
        ``[K, *shape]`` for each output, K at least 1.

    Returns
    -------
    list of torch.Tensor or None
        ``[K, *shape]`` for each target.

    Raises
    ------
    RuntimeError
        When an operation on the way cannot be batched.
    """
    reached: list[bool] = []

    def pull(*row: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = pull_back(outputs, targets, row)
        reached.extend(gradient is not None for gradient in found)
        # Something has to be given back, even where nothing is reached.
        return row[0], *(gradient for gradient in found if gradient is not None)

    rows = iter(vmap(pull)(*cotangents)[1:])
    return [next(rows) if is_reached else None for is_reached in reached]


def _seeded(output: torch.Tensor, cotangent: torch.Tensor) -> torch.Tensor:
    """Make a scalar whose gradient in an output is the cotangent."""
    if cotangent.shape != output.shape:  # a hook would broadcast it
        raise ValueError(
            f"the cotangent has shape {list(cotangent.shape)}, expected {list(output.shape)}"
        )
    seed = output.view_as(output)
    if seed.requires_grad:
        converted = cotangent.to(output.dtype)
        seed.register_hook(lambda _: converted)  # type: ignore[no-untyped-call]
    total = seed.sum()
    return total.real if total.is_complex() else total
