"""Numbers of many examples, a few at a time: what is made of each may be as long as θ."""

from __future__ import annotations

from collections.abc import Callable

import torch

from hessinf.gradients import Gradients

AT_ONCE = 64
"""Examples whose factors are computed together: they are formed, and so are their gradients."""


def few_at_a_time(
    gradients: Gradients, function: Callable[[Gradients], torch.Tensor], most: int | None = None
) -> torch.Tensor:
    """Compute numbers of B examples, ``[B]``, so that only a few are ever formed together.

    Parameters
    ----------
    gradients
        Of B examples.
    function
        From the gradients of b of them to ``[b]``.
    most
        How many are there together; :data:`AT_ONCE` when None.
    """
    step = AT_ONCE if most is None else most
    starts = range(0, gradients.count, step)
    return torch.cat(
        [function(gradients.select(slice(start, start + step))) for start in starts]
    )  # [B]
