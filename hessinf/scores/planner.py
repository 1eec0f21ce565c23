"""Choosing, for each matrix of parameters, the way to contract its factors that costs least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hessinf.scores.cost_model import (
    NOTHING,
    Cost,
    Factors,
    Shape,
    Strategy,
    forming,
    of_matrices,
    of_pairs,
)

TILE_BYTES = 2 << 20
"""Outer products that are formed together on a CPU: as many as stay in a cache of its own."""

SUMMED_TILE_BYTES = 8 << 20
"""The same, where they are sums over several positions, which want wider products."""

DEVICE_TILE_BYTES = 256 << 20
"""The same on a GPU, whose kernels want to be few and large."""

PRODUCT_TILE_BYTES = 2 << 20
"""Products of matrices with one side's factors that a CPU computes together."""

TILE_EXAMPLES = 256
SUMMED_TILE_EXAMPLES = 64
PRODUCT_TILE_ROWS = 1024
DEVICE_TILE_EXAMPLES = 4096
"""How many examples, or positions, are in a tile at most. All these were measured: with 180 queries
and matrices of 512 by 512 they make 90 % and more of the rate of a large product."""


@dataclass(frozen=True)
class Choice:
    """How a matrix's share of the scores of one batch is computed.

    Parameters
    ----------
    name
        Of the matrix, or what else it is.
    strategy
        See :data:`~hessinf.scores.cost_model.Strategy`; "whole" for a plain matrix product of
        gradients that are no factors.
    cost
        What that was predicted to take.
    """

    name: str
    strategy: str
    cost: Cost


def choose_for_matrices(shape: Shape, forced: Strategy | None = None) -> tuple[Strategy, Cost]:
    """Choose where queries are matrices.

    Parameters
    ----------
    shape
        The shape of the work.
    forced
        Taken where it is possible, whatever it costs.
    """
    costs = of_matrices(shape)
    if forced in costs:
        return forced, costs[forced]
    return min(costs.items(), key=lambda item: item[1].time)


def prefers_pairs(
    queries: Sequence[Factors], shapes: Sequence[Shape], forced: Strategy | None = None
) -> tuple[bool, Cost]:
    """Choose between pairs of positions and forming the queries' matrices.

    Parameters
    ----------
    queries
        The factors of queries, by usage.
    shapes
        Of the work with the factors of examples, by usage.
    forced
        Taken, whatever it costs.

    Returns
    -------
    bool
        Whether pairs are taken.
    Cost
        What the choice takes.
    """
    pairs, matrices = NOTHING, NOTHING
    for shape in shapes:
        for own in queries:
            pairs += of_pairs(own, shape)
        matrices += choose_for_matrices(shape, forced)[1]
    if shapes:
        for own in queries:
            matrices += forming(own, shapes[0].out_features, shapes[0].in_features, shapes[0].size)
    chosen = forced == "pairs" if forced is not None else pairs.time <= matrices.time
    return (True, pairs) if chosen else (False, matrices)


@dataclass(frozen=True)
class Tile:
    """How much is formed at once.

    Parameters
    ----------
    examples
        Of how many examples.
    numbers
        Of the gradients, in all.
    """

    examples: int
    numbers: int


def tile_bytes(on_cpu: bool, *, summed: bool) -> int:
    """Say how many bytes of products are formed at once.

    Parameters
    ----------
    on_cpu
        Whether a CPU does it.
    summed
        Whether they are sums over positions.
    """
    if not on_cpu:
        return DEVICE_TILE_BYTES
    return SUMMED_TILE_BYTES if summed else TILE_BYTES


def tile_of(shape: Shape, on_cpu: bool) -> Tile:
    """Cut outer products into tiles that stay in a cache.

    Parameters
    ----------
    shape
        The shape of the work.
    on_cpu
        Whether a CPU does it.
    """
    own = shape.examples
    summed = own.positions > 1
    budget = tile_bytes(on_cpu, summed=summed)
    most = DEVICE_TILE_EXAMPLES
    if on_cpu:
        most = SUMMED_TILE_EXAMPLES if summed else TILE_EXAMPLES
    examples = min(own.count, most)
    if own.ids:  # whole tables are formed
        examples = min(examples, budget // (shape.numbers * shape.size))
    elif summed:  # factors should stay in the cache as well
        factors = own.positions * (shape.in_features + shape.out_features) * shape.size
        examples = min(examples, budget // factors)
    # A row of the matrix at least is formed of each: few enough to have room for that.
    a_row = min(shape.in_features, shape.out_features) * shape.size
    examples = max(min(examples, 4 * budget // a_row), 1)
    parts = -(-own.count // examples)
    return Tile(-(-own.count // parts), budget // shape.size)


def tile_of_products(on_cpu: bool, width: int, size: int) -> tuple[int, int]:
    """Cut products of matrices with one side's factors into tiles that stay in a cache.

    Parameters
    ----------
    on_cpu
        Whether a CPU does it.
    width
        How many numbers a position makes for each query.
    size
        Bytes of a number.

    Returns
    -------
    tuple of int
        How many positions, and how many numbers in all.
    """
    budget, most = DEVICE_TILE_BYTES, DEVICE_TILE_EXAMPLES
    if on_cpu:
        budget, most = PRODUCT_TILE_BYTES, PRODUCT_TILE_ROWS
    return max(min(budget // (width * size), most), 1), budget // size
