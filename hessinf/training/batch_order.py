"""The random order in which examples are seen."""

from __future__ import annotations

import torch


def random_batches(
    number: int, batch_size: int, generator: torch.Generator, *, none_of_one: bool = False
) -> list[torch.Tensor]:
    """Put examples into batches in random order.

    Parameters
    ----------
    number
        How many examples there are.
    batch_size
        Examples in a batch; the last one may have fewer.
    generator
        Where the order comes from.
    none_of_one
        Whether a last batch of one example joins the batch before it.

    Returns
    -------
    list of torch.Tensor
        Places of examples ``[B]``, on the CPU; every example is in one batch.
    """
    order = random_order(number, generator)  # [N]
    sizes = [batch_size] * (number // batch_size) + [number % batch_size] * (
        number % batch_size > 0
    )
    if none_of_one and len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [batch_size + 1]
    return list(torch.split(order, sizes))


def random_order(number: int, generator: torch.Generator) -> torch.Tensor:
    """Return the places of examples in random order, ``[N]``, on the CPU."""
    return torch.randperm(number, generator=generator)


def steps_of_an_epoch(number: int, batch_size: int) -> int:
    """Say how many batches :func:`random_batches` makes, where one example may be a batch."""
    return -(-number // batch_size)
