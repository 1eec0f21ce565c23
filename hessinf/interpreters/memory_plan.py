"""How many examples and vectors go through the model together, so that memory suffices.

The plan follows from sizes and ``memory_limit`` alone, never from what happens to be free: the same
config gives the same batches, and the same bytes, each time.
"""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_BATCH = 1024
"""More examples at once gain nothing on a CPU, and little on a GPU."""

COPIES_OF_GRADIENTS = 4
"""Per-example gradients by vmap, flattened, scaled and passed on."""

COPIES_OF_ACTIVATIONS = 6
"""Primal, tangent and their backward counterparts of a product with curvature."""


CACHE_BYTES = 16 << 20
"""Products with curvature run up to three times faster on a CPU while their activations stay in
its cache: measured on an MLP of 2,778 parameters, batches of 512, 8 to 256 vectors."""


@dataclass(frozen=True)
class MemoryPlan:
    """What fits.

    Parameters
    ----------
    batch_size
        Examples whose gradients are computed together.
    vectors_at_once
        Vectors that are multiplied with the curvature of one batch together.
    keep_train_gradients
        Whether all training gradients fit side by side.
    """

    batch_size: int
    vectors_at_once: int
    keep_train_gradients: bool


def plan_memory(
    *,
    memory_limit: float,
    batch_size: int | None,
    num_train: int,
    num_parameters: int,
    bytes_per_number: int,
    activation_bytes: int,
    on_cpu: bool,
) -> MemoryPlan:
    """Plan batches within a memory limit.

    Parameters
    ----------
    memory_limit
        GiB.
    batch_size
        What the user asked for, or None for the largest that fits.
    num_train, num_parameters
        N and P.
    bytes_per_number
        Of a parameter.
    activation_bytes
        What a forward pass keeps for one example.
    on_cpu
        Whether the work is done by a CPU, whose caches are worth keeping to.
    """
    budget = memory_limit * 2**30
    gradient = num_parameters * bytes_per_number
    if batch_size is None:
        an_example = COPIES_OF_GRADIENTS * gradient + COPIES_OF_ACTIVATIONS * activation_bytes
        batch_size = min(max(int(budget / 4 / an_example), 1), LARGEST_BATCH, num_train)
    a_vector = COPIES_OF_GRADIENTS * gradient + (
        COPIES_OF_ACTIVATIONS * activation_bytes * batch_size
    )
    vectors_at_once = int(budget / 4 / a_vector)
    if on_cpu:
        vectors_at_once = min(vectors_at_once, CACHE_BYTES // (activation_bytes * batch_size))
    return MemoryPlan(
        batch_size=batch_size,
        vectors_at_once=min(max(vectors_at_once, 1), num_parameters),
        keep_train_gradients=num_train * gradient <= budget / 4,
    )
