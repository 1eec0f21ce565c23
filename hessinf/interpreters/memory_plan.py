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

FACTORED_BYTES = 32 << 20
"""Passes whose gradients stay factors are fastest on a CPU with activations of about this size:
measured on a network of convolutions, batches of 16 to 1,617, and a transformer, of 8 to 128."""

FEWEST_FACTORED = 64
"""Fewer examples are not worth reading what was prepared of many queries from memory once more."""

LARGEST_FACTORED_BATCH = 4096

LARGEST_QUERY_BATCH = 256
"""More queries at once gain nothing: their factors are read once for each batch either way."""


@dataclass(frozen=True)
class MemoryPlan:
    """What fits.

    Parameters
    ----------
    batch_size
        Examples whose gradients are computed together.
    vectors_at_once
        Vectors that are multiplied with the curvature of one batch together.
    """

    batch_size: int
    vectors_at_once: int


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
    )


def plan_factored_batch(
    *,
    memory_limit: float,
    num_train: int,
    numbers_formed: int,
    bytes_per_number: int,
    activation_bytes: int,
    on_cpu: bool,
) -> int:
    """Plan batches of examples whose gradients are held as factors.

    Parameters
    ----------
    memory_limit
        GiB.
    num_train
        N.
    numbers_formed
        How many numbers of an example's gradient are tensors all the same.
    bytes_per_number
        Of a parameter.
    activation_bytes
        What a forward pass keeps for one example.
    on_cpu
        Whether the work is done by a CPU, whose caches are worth keeping to.

    Returns
    -------
    int
        How many examples go through the model together.
    """
    formed = COPIES_OF_GRADIENTS * numbers_formed * bytes_per_number
    an_example = formed + COPIES_OF_ACTIVATIONS * activation_bytes
    size = min(int(memory_limit * 2**30 / 4 / an_example), LARGEST_FACTORED_BATCH)
    if on_cpu:
        size = min(size, max(FACTORED_BYTES // activation_bytes, FEWEST_FACTORED))
    return min(max(size, 1), num_train)


def plan_queries(
    *, memory_limit: float, models: int, num_parameters: int, bytes_per_number: int
) -> int:
    """Plan how many queries are worked on together, so that their factors take an eighth of memory.

    Parameters
    ----------
    memory_limit
        GiB.
    models
        How many models score them, each with factors of its own.
    num_parameters
        P.
    bytes_per_number
        Of a parameter.
    """
    factors = models * num_parameters * bytes_per_number
    return min(max(int(memory_limit * 2**30 / 8 / factors), 1), LARGEST_QUERY_BATCH)
