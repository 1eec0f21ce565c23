"""What ways to contract factors cost, in flops and bytes: counted from shapes, never measured.

A gradient matrix of a training example is ``Σ_s r_s ⊗ c_s`` over its S positions, with rows
``r_s`` of O numbers and columns ``c_s`` of I numbers. What it is multiplied with, of each of Q
queries, is a matrix ``[O, I]``, or factors of the same kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Strategy = Literal["pairs", "outer-products", "columns-first", "rows-first", "gather"]
"""How a matrix's share of the scores is computed:

- "pairs": ``Σ (r_q·r_i)(c_q·c_i)`` over pairs of positions of queries and examples;
- "outer-products": gradients of a few examples are formed, then multiplied with the queries';
- "columns-first": the queries' matrices times the columns, then a sum with the rows;
- "rows-first": the same, the other way round;
- "gather": the rows of the queries' matrices that an example looks up, times its columns.
"""

FLOPS_PER_BYTE = 4.0
"""How many flops of a large matrix product take as long as to move one byte between a core and its
caches: 80 to 90 GFLOP/s beside about 20 GB/s, on cores with AVX-512."""


@dataclass(frozen=True)
class Cost:
    """Work to be done.

    Parameters
    ----------
    flops
        Of floating-point operations.
    bytes
        Read and written by kernels.
    """

    flops: float
    bytes: float

    @property
    def time(self) -> float:
        """The work as flops of a large matrix product."""
        return self.flops + FLOPS_PER_BYTE * self.bytes

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes)

    def __mul__(self, count: float) -> Cost:
        return Cost(self.flops * count, self.bytes * count)


NOTHING = Cost(0, 0)


def product(rows: int, inner: int, columns: int, size: int) -> Cost:
    """Multiply a matrix ``[rows, inner]`` with one ``[inner, columns]``."""
    numbers = rows * inner + inner * columns + rows * columns
    return Cost(2.0 * rows * inner * columns, float(size * numbers))


def moved(numbers: float, size: int) -> Cost:
    """Read or write numbers once, with an operation for each."""
    return Cost(float(numbers), float(numbers * size))


@dataclass(frozen=True)
class Factors:
    """The shape of one side's factors.

    Parameters
    ----------
    count
        Q or B.
    positions
        S.
    ids
        Whether rows are ids, each of one row with a one in it.
    """

    count: int
    positions: int
    ids: bool = False


@dataclass(frozen=True)
class Shape:
    """The shape of a matrix's share of the scores.

    Parameters
    ----------
    queries
        Q.
    examples
        The factors of B examples.
    out_features, in_features
        O and I.
    size
        Bytes of a number.
    """

    queries: int
    examples: Factors
    out_features: int
    in_features: int
    size: int = 4

    @property
    def numbers(self) -> int:
        """O·I."""
        return self.out_features * self.in_features


def forming(factors: Factors, out_features: int, in_features: int, size: int) -> Cost:
    """Form the gradients ``[count, O, I]`` of factors."""
    numbers = out_features * in_features
    if factors.ids:  # zeros, and a row added for each position
        added = moved(3.0 * factors.positions * in_features, size)
        return (moved(numbers, size) + added) * factors.count
    if factors.positions == 1:
        return moved(numbers, size) * factors.count
    return product(out_features, factors.positions, in_features, size) * factors.count


def of_matrices(shape: Shape) -> dict[Strategy, Cost]:
    """Count what each way costs where queries are matrices ``[Q, O, I]``."""
    own, size = shape.examples, shape.size
    outer, inner = shape.out_features, shape.in_features
    positions = own.count * own.positions
    formed = forming(own, outer, inner, size)
    found: dict[Strategy, Cost] = {
        "outer-products": formed + product(shape.queries, shape.numbers, own.count, size)
    }
    if own.ids:
        found["gather"] = moved(4.0 * shape.queries * positions * inner, size)
        return found
    found["rows-first"] = (
        product(inner, outer, positions, size) + moved(3.0 * inner * positions, size)
    ) * shape.queries
    found["columns-first"] = (
        product(outer, inner, positions, size) + moved(3.0 * outer * positions, size)
    ) * shape.queries
    return found


def of_pairs(queries: Factors, shape: Shape) -> Cost:
    """Count what pairs of positions cost where queries are factors."""
    left = queries.count * queries.positions
    right = shape.examples.count * shape.examples.positions
    by_ids = queries.ids or shape.examples.ids
    rows = moved(left * right, shape.size)
    if not by_ids:
        rows = product(left, shape.out_features, right, shape.size)
    columns = product(left, shape.in_features, right, shape.size)
    return rows + columns + moved(3.0 * left * right, shape.size)
