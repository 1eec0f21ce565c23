"""``Cosines``: inner products of the directions of gradients."""

from __future__ import annotations

import torch

from hessinf.gradients import Gradients
from hessinf.scores.contraction import InnerProducts
from hessinf.scores.norms import squared_norms
from hessinf.scores.precision import ScorePrecision

FORMED_AT_ONCE = 64
"""Gradients whose squares are out of range are few: so many are formed together."""


class Cosines:
    """Scores training examples by the cosine of their gradients with those of Q queries.

    Parameters
    ----------
    queries
        Of Q queries.
    precision
        What products are computed in.
    """

    def __init__(self, queries: Gradients, precision: ScorePrecision = "model") -> None:
        squares = squared_norms(queries)  # [Q]
        if bool(_in_range(squares).all()):
            self._products = InnerProducts(queries, precision=precision)
            self._scales = squares.rsqrt()  # [Q]
        else:
            unit = queries.like(directions(queries))
            self._products = InnerProducts(unit, precision=precision)
            self._scales = torch.ones_like(squares)  # [Q]

    def __call__(self, gradients: Gradients) -> torch.Tensor:
        """Return the cosines with B training examples, ``[Q, B]``."""
        squares = squared_norms(gradients)  # [B]
        total = self._products(gradients)  # [Q, B]
        total *= self._scales[:, None]
        total *= squares.rsqrt()
        out_of_range = ~_in_range(squares)  # [B]
        if bool(out_of_range.any()):
            those = out_of_range.nonzero().flatten()  # [B']
            for start in range(0, len(those), FORMED_AT_ONCE):
                places = those[start : start + FORMED_AT_ONCE]
                some = gradients.select(places)
                unit = some.like(directions(some))
                total[:, places] = self._products(unit) * self._scales[:, None]
        return total


def _in_range(squares: torch.Tensor) -> torch.Tensor:
    """Tell squared norms that are neither zero nor infinite for their type's short range."""
    limits = torch.finfo(squares.dtype)
    inside: torch.Tensor = (squares > limits.tiny**0.75) & (squares < limits.max**0.75)
    return inside


def directions(gradients: Gradients) -> torch.Tensor:
    """Scale gradients to length 1; those that are zero stay zero: ``[B, P]``."""
    flat = gradients.flatten()  # [B, P]
    # First by the largest entry: squares of small numbers would be lost.
    largest = flat.detach().abs().amax(dim=1, keepdim=True)  # [B, 1]
    scaled: torch.Tensor = flat / torch.where(largest > 0, largest, 1)  # [B, P]
    lengths = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)  # [B, 1]
    unit: torch.Tensor = scaled / torch.where(largest > 0, lengths, 1)
    return unit  # [B, P]
