"""Rows of the Gauss-Newton matrix as the dual form uses them: in factors where layers have them.

A row of a layer's matrix is ``Σ_s g_s ⊗ a_s``. The inner product of two is
``Σ_st (g_s · g'_t)(a_s · a'_t)``, and its product with a matrix V is ``Σ_s g_sᵀ V a_s``: nothing of
the size of the matrix is made for a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch

from hessinf.curvature.layer_factors import LayerFactors
from hessinf.gradients.layers import MatrixUnit


@dataclass(frozen=True)
class RowLayout:
    """Which parameters of θ rows have in factors, and which in full.

    Parameters
    ----------
    units
        The matrices in factors.
    names
        The parameters in full.
    idle
        Those that rows are zero in.
    """

    units: tuple[MatrixUnit, ...]
    names: tuple[str, ...]
    idle: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RowFactors:
    """K rows of each of B examples; zero where an example has fewer.

    Parameters
    ----------
    layout
        What is in factors.
    places
        Where the rows that are there lie among all M, ``[m]``.
    present
        Which these are, ``[B, K]``.
    matrices
        Factors ``[K, B, S, O]`` and ``[B, S, I]``, float64, in the order of the layout; None where
        these examples do not use the matrix. Made by :func:`laid_out`.
    full
        The other parameters: ``[B · K, W]``, float64.
    """

    layout: RowLayout
    places: torch.Tensor
    present: torch.Tensor
    matrices: tuple[LayerFactors | None, ...]
    full: torch.Tensor

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return self.full.numel() + sum(x.numbers for x in self.matrices if x is not None)

    @cached_property
    def span(self) -> slice | torch.Tensor:
        """The places, as a slice where they follow each other."""
        first, number = int(self.places[0]), len(self.places)
        if int(self.places[-1]) - first == number - 1:
            return slice(first, first + number)
        return self.places

    def gram(self, other: RowFactors) -> torch.Tensor:
        """Multiply with other rows: ``[m, m']``."""
        shape = (*self.present.shape, *other.present.shape)
        total = (self.full @ other.full.T).view(shape)  # [B, K, B', K']
        for left, right in zip(self.matrices, other.matrices, strict=True):
            if left is not None and right is not None:
                _add_inner_products(total, left, right)
        found = total.flatten(2).flatten(0, 1)  # [B K, B' K']
        if len(self.places) < len(found):
            found = found[self.present.flatten()]
        if len(other.places) < found.shape[1]:
            found = found[:, other.present.flatten()]
        return found

    def squared_norms(self) -> torch.Tensor:
        """Multiply rows with themselves: ``[m]``."""
        total = self.full.square().sum(dim=1).view(self.present.shape)  # [B, K]
        for factors in self.matrices:
            if factors is not None:
                rows = factors.rows.transpose(0, 1)  # [B, K, S, O]
                inputs = factors.columns @ factors.columns.transpose(1, 2)  # [B, S, S]
                total = total + ((rows @ rows.transpose(2, 3)) * inputs[:, None]).sum((2, 3))
        return total[self.present]

    def project(
        self, matrices: Mapping[MatrixUnit, torch.Tensor], full: torch.Tensor
    ) -> torch.Tensor:
        """Multiply with vectors.

        Parameters
        ----------
        matrices
            The vectors as matrices, ``[Q, O, I]`` each.
        full
            Their other entries, ``[Q, W]``.

        Returns
        -------
        torch.Tensor
            ``[Q, m]``.
        """
        count = len(full)
        total = (full @ self.full.T).view(count, *self.present.shape)  # [Q, B, K]
        for unit, factors in zip(self.layout.units, self.matrices, strict=True):
            if factors is not None:
                pushed = torch.einsum("qoi,bsi->bqso", matrices[unit], factors.columns)
                rows = factors.rows.permute(1, 2, 3, 0).flatten(1, 2)  # [B, S O, K]
                total += (pushed.flatten(2) @ rows).transpose(0, 1)
        return total[:, self.present]

    def combine(
        self, weights: torch.Tensor, matrices: Mapping[MatrixUnit, torch.Tensor], full: torch.Tensor
    ) -> None:
        """Add weighted sums of the rows to vectors, in place.

        Parameters
        ----------
        weights
            ``[Q, m]``.
        matrices, full
            The vectors: matrices ``[Q, O, I]`` and the other entries ``[Q, W]``.
        """
        spread = weights.new_zeros(len(weights), *self.present.shape)  # [Q, B, K]
        spread[:, self.present] = weights
        full += spread.flatten(1) @ self.full
        for unit, factors in zip(self.layout.units, self.matrices, strict=True):
            if factors is not None:
                rows = factors.rows.permute(1, 0, 2, 3).flatten(2)  # [B, K, S O]
                shape = (len(rows), len(weights), *factors.rows.shape[2:])
                pulled = (spread.transpose(0, 1) @ rows).view(shape)  # [B, Q, S, O]
                by_position = pulled.permute(1, 3, 0, 2).flatten(2)  # [Q, O, B S]
                matrices[unit].add_(by_position @ factors.columns.flatten(0, 1))


def laid_out(factors: LayerFactors, scale: float) -> LayerFactors:
    """Give factors in float64, scaled, with the rows of each example side by side in memory."""
    rows = factors.rows.transpose(0, 1).double().mul(scale).contiguous()  # [B, K, S, O]
    return LayerFactors(rows.transpose(0, 1), factors.columns.double())


def _add_inner_products(total: torch.Tensor, left: LayerFactors, right: LayerFactors) -> None:
    """Multiply the rows of a matrix with others, and add that to ``[B, K, B', K']``."""
    inputs = left.columns.flatten(0, 1) @ right.columns.flatten(0, 1).T  # [B S, B' S']
    one, other = left.rows.transpose(0, 1), right.rows.transpose(0, 1)  # [B, K, S, O]
    products = one.flatten(0, 2) @ other.flatten(0, 2).T  # [B K S, B' K' S']
    if left.positions == right.positions == 1:
        total.addcmul_(products.view(total.shape), inputs[:, None, :, None])
        return
    by_position = products.view(*one.shape[:3], *other.shape[:3])  # [B, K, S, B', K', S']
    pairs = inputs.view(len(one), 1, one.shape[2], len(other), 1, other.shape[2])
    total += (by_position * pairs).sum(dim=(2, 5))
