"""Scores from the dual form, without a vector as long as θ.

The inverse of the Gauss-Newton matrix takes a gradient v to ``c v + Uᵀ y``, so that its inner
product with another one, w, is

    c (v · w) + y · (U w),

and where both are held as factors, ``v · w``, ``U v`` and ``U w`` are products of small Gram
matrices (:meth:`RowFactors.gram`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hessinf.curvature.dual import DualInverse
from hessinf.curvature.dual_factors import RowFactors, RowLayout, laid_out
from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.inversion import Factors
from hessinf.curvature.layer_factors import LayerFactors
from hessinf.gradients import FactoredGradients


class DualScores:
    """Scores training examples for Q queries.

    Parameters
    ----------
    inverse
        Of the Gauss-Newton matrix.
    pieces
        All rows U.
    factors
        From :meth:`DualInverse.factorize` or :meth:`DualInverse.redamp`.
    queries
        The gradients of Q queries.

    Raises
    ------
    CurvatureError
        When what the queries take of the rows is not finite.
    """

    def __init__(
        self,
        inverse: DualInverse,
        pieces: Sequence[RowFactors],
        factors: Factors,
        queries: FactoredGradients,
    ) -> None:
        self.pieces = pieces
        self.layout = pieces[0].layout
        self._queries = as_rows(queries, self.layout)
        projected = _projected(self._queries, pieces, inverse.number)  # [Q, M]
        self._share, self._weights = inverse.coefficients(factors, projected)
        finite = self._weights.isfinite().all(dim=1)  # [Q]
        if not bool(finite.all()):
            raise CurvatureError(
                f"the influence factors of query {int((~finite).nonzero()[0])} among "
                f"{queries.count} are not finite; is damping too small, or the curvature singular?"
            )

    def __call__(self, gradients: FactoredGradients) -> torch.Tensor:
        """Score B training examples: ``[Q, B]``, in the precision of their gradients."""
        train = as_rows(gradients, self.layout)
        scores = self._share * self._queries.gram(train)  # [Q, B]
        for piece in self.pieces:
            scores.addmm_(self._weights[:, piece.span], piece.gram(train))
        return scores.to(gradients.rest.dtype)


def self_scores(
    inverse: DualInverse,
    pieces: Sequence[RowFactors],
    factors: Factors,
    gradients: FactoredGradients,
) -> torch.Tensor:
    """Score training examples for themselves, ``[B]``, float64: ``c ‖v‖² + y · (U v)``.

    Parameters
    ----------
    inverse, pieces, factors
        As for :class:`DualScores`.
    gradients
        Of B examples.
    """
    rows = as_rows(gradients, pieces[0].layout)
    projected = _projected(rows, pieces, inverse.number)  # [B, M]
    share, weights = inverse.coefficients(factors, projected)
    return share * rows.squared_norms() + (weights * projected).sum(dim=1)


def _projected(rows: RowFactors, pieces: Sequence[RowFactors], number: int) -> torch.Tensor:
    """Compute ``U v`` for gradients in factors, ``[B, M]``."""
    projected = rows.full.new_empty(len(rows.full), number)  # [B, M]
    for piece in pieces:
        projected[:, piece.span] = rows.gram(piece)
    return projected


def is_less_work(number: int, pieces: Sequence[RowFactors], examples: int, queries: int) -> bool:
    """Whether scores so take less work than by influence factors, which are as long as θ.

    Parameters
    ----------
    number
        M, how many rows U has.
    pieces
        The rows.
    examples
        N.
    queries
        Q.
    """
    layout = pieces[0].layout
    widths = sum(one.rows.shape[2:].numel() for one in pieces[0].matrices if one is not None)
    widths += pieces[0].full.shape[1]
    # U w for all examples, and their products; against U v and Uᵀ y, and products of length P.
    so = examples * number * (widths + queries)
    sizes = [unit.out_features * unit.in_features for unit in layout.units]
    whole = sum(sizes) + pieces[0].full.shape[1]
    return so < 3 * queries * examples * whole


def holds(layout: RowLayout, gradients: FactoredGradients) -> bool:
    """Whether gradients come in the factors that rows are held in."""
    return set(layout.units) <= set(gradients.units)


def as_rows(gradients: FactoredGradients, layout: RowLayout) -> RowFactors:
    """Look at gradients as at rows, one for each example.

    Parameters
    ----------
    gradients
        Of B examples.
    layout
        What rows have in factors.
    """
    count = gradients.count
    matrices: list[LayerFactors | None] = []
    for unit in layout.units:
        usages = gradients.usages(unit)
        if not usages:
            matrices.append(None)
            continue
        rows = torch.cat([usage.rows for usage in usages], dim=2)  # [1, B, S, O]
        columns = torch.cat([usage.columns for usage in usages], dim=1)  # [B, S, I]
        matrices.append(laid_out(LayerFactors(rows, columns), 1.0))
    parts = [gradients[name].reshape(count, -1) for name in layout.names]
    full = torch.cat([gradients.rest[:, :0], *parts], dim=1).double()  # [B, W]
    everywhere = torch.ones(count, 1, dtype=torch.bool, device=full.device)
    places = torch.arange(count, device=full.device)
    return RowFactors(layout, places, everywhere, tuple(matrices), full)
