"""``Usage``: the two factors of the gradient that one call of a layer makes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch


@dataclass(frozen=True)
class Usage:
    """What one call of a layer adds to the gradient of a matrix, position by position.

    The gradient of example b for cotangent k is ``Σ_s rows[k, b, s] ⊗ columns[b, s]`` where the
    gradient is on the side of the rows (linear layers, convolutions), and
    ``Σ_s onehot(rows[b, s]) ⊗ columns[k, b, s]`` where it is on the side of the columns
    (embeddings). At positions that do not matter (padding) the gradient side is zero.

    Parameters
    ----------
    module
        Says which module made the call, the same in every pass: usages of one module (called
        several times) add up as positions, those of different ones share a weight.
    gradient_side
        ``"rows"`` or ``"columns"``.
    rows
        ``[K, B, S, O]``, or ids ``[B, S]`` where the gradient is on the side of the columns.
    inputs
        The columns without the bias's: ``[B, S, I]``, or ``[K, B, S, I]``.
    bias_column
        What stands in the bias's column: 1, 0 where this call used no bias but others do, None
        where the matrix has none.
    space
        The size of the space that positions lie in: ``(L,)``, ``(H, W)`` or ``(D, H, W)`` of a
        convolution's output (S is a multiple of it where there are several for an example); ``()``
        for tokens, the positions of linear layers and embeddings; None where their output
        ``[B, F]`` has no dimension of positions at all.
    padding_idx
        The id whose row gets no gradient where it is looked up; None where there is none.
    """

    module: str
    gradient_side: Literal["rows", "columns"]
    rows: torch.Tensor
    inputs: torch.Tensor
    bias_column: float | None
    space: tuple[int, ...] | None
    padding_idx: int | None = None

    @cached_property
    def columns(self) -> torch.Tensor:
        """The columns, the bias's included: ``[B, S, I]``, or ``[K, B, S, I]``."""
        if self.bias_column is None:
            return self.inputs
        column = self.inputs.new_full((*self.inputs.shape[:-1], 1), self.bias_column)
        return torch.cat([self.inputs, column], dim=-1)

    @property
    def positions(self) -> int:
        """S, at how many positions of each example the layer was used."""
        return self.inputs.shape[-2]

    @property
    def gradient(self) -> torch.Tensor:
        """The side that holds the gradient: ``[K, B, S, O]``, or ``[K, B, S, I]``."""
        return self.rows if self.gradient_side == "rows" else self.columns

    def product(self, out_features: int) -> torch.Tensor:
        """Multiply the factors and sum over positions: ``[K, B, O, I]``, the bias's column too."""
        return outer_products(self.gradient_side, self.rows, self.columns, out_features)


def outer_products(
    side: Literal["rows", "columns"],
    rows: torch.Tensor,
    columns: torch.Tensor,
    out_features: int,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Sum outer products over positions.

    Parameters
    ----------
    side
        Which of the factors has one for each of K vectors.
    rows
        ``[K, B, S, O]``, or ids ``[B, S]``.
    columns
        ``[B, S, I]``, or ``[K, B, S, I]``.
    out_features
        O.
    out
        Where the result may be written.

    Returns
    -------
    torch.Tensor
        ``[K, B, O, I]``: ``out``, or a new tensor.
    """
    if side == "columns":
        vectors, count, _, width = columns.shape
        total = columns.new_zeros(vectors, count * out_features, width)
        first = torch.arange(count, device=rows.device)[:, None] * out_features  # [B, 1]
        total.index_add_(1, (first + rows).flatten(), columns.flatten(1, 2))
        return total.reshape(vectors, count, out_features, width)
    if rows.shape[2] == 1:
        return torch.mul(rows.transpose(2, 3), columns, out=out)  # [K, B, O, 1] · [B, 1, I]
    return torch.einsum("kbso,bsi->kboi", rows, columns)
