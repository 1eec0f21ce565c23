"""``MatrixUnit``: parameters that act as one matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class MatrixUnit:
    """A weight, or some rows of it, and the bias beside it, as one matrix ``[O, I]``.

    Its gradient is a sum of outer products, one for each position at which a layer used it. A
    convolution makes one unit for each of its groups; packed attention weights one for each part
    that is used apart; tied weights are one unit.

    Parameters
    ----------
    name
        Readable, and the same in every pass: ``"layers.0.linear1"``,
        ``"layers.0.self_attn.in_proj_weight[0:4]"``.
    weight
        The name of the parameter that holds the weight.
    bias
        The name of the parameter that holds the bias; None without one, or where it is no part
        of θ.
    out_features
        O, the number of rows.
    in_features
        I, the number of columns, the bias's column (the last) included.
    rows
        Which rows of the weight; of its transpose where ``transposed``.
    bias_rows
        Which numbers of the bias.
    transposed
        Whether the parameter lies as ``[I, O]``.
    weight_dimensions
        How many dimensions the weight has: 2, or 3 to 5 for convolutions.
    """

    name: str
    weight: str
    bias: str | None
    out_features: int
    in_features: int
    rows: range
    bias_rows: range = range(0)
    transposed: bool = False
    weight_dimensions: int = 2

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters it takes numbers from."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def matrix(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Gather weight and bias as one matrix.

        Parameters
        ----------
        values
            By parameter name, ``[*leading, *shape]``: parameters themselves, gradients, vectors.

        Returns
        -------
        torch.Tensor
            ``[*leading, O, I]``, the bias as its last column. A new tensor, or a view.
        """
        leading = self._leading(values)
        weight = self._weight_rows(values[self.weight], leading).flatten(leading + 1)
        if self.bias is None:
            return weight
        bias = self._bias_rows(values[self.bias]).unsqueeze(-1)
        return torch.cat([weight, bias], dim=-1)  # [*leading, O, I]

    def weight_matrix(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Show the weight's numbers of :meth:`matrix`: a view ``[*leading, O, I]`` where possible.

        Parameters
        ----------
        values
            By parameter name, ``[*leading, *shape]``.
        """
        leading = values[self.weight].ndim - self.weight_dimensions
        return self._weight_rows(values[self.weight], leading).flatten(leading + 1)

    def bias_vector(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
        """Show the bias's numbers of :meth:`matrix`: a view ``[*leading, O]``; None without one."""
        return None if self.bias is None else self._bias_rows(values[self.bias])

    def views(self, values: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Show weight and bias where they lie.

        Parameters
        ----------
        values
            As for :meth:`matrix`, contiguous.

        Returns
        -------
        torch.Tensor
            The weight, ``[*leading, O, I]`` without the bias's column: a view.
        torch.Tensor or None
            The bias, ``[*leading, O]``: a view.
        """
        leading = self._leading(values)
        weight = self._weight_rows(values[self.weight], leading)
        flat = weight.view(*weight.shape[: leading + 1], -1)  # [*leading, O, I]
        return flat, None if self.bias is None else self._bias_rows(values[self.bias])

    def scatter(self, matrix: torch.Tensor, into: Mapping[str, torch.Tensor]) -> None:
        """Write a matrix ``[*leading, O, I]`` back where :meth:`matrix` gathers it.

        Parameters
        ----------
        matrix
            The matrix.
        into
            By parameter name, ``[*leading, *shape]``; rows of other units stay as they are.
        """
        leading = matrix.ndim - 2
        weight = matrix if self.bias is None else matrix[..., :-1]
        there = self._weight_rows(into[self.weight], leading)
        there.copy_(weight.reshape(there.shape))
        if self.bias is not None:
            self._bias_rows(into[self.bias]).copy_(matrix[..., -1])

    def _weight_rows(self, values: torch.Tensor, leading: int) -> torch.Tensor:
        if self.transposed:
            values = values.transpose(-1, -2)
        return values.narrow(leading, self.rows.start, len(self.rows))

    def _bias_rows(self, values: torch.Tensor) -> torch.Tensor:
        return values.narrow(-1, self.bias_rows.start, len(self.bias_rows))

    def _leading(self, values: Mapping[str, torch.Tensor]) -> int:
        if self.bias is not None:
            return values[self.bias].ndim - 1
        return values[self.weight].ndim - self.weight_dimensions
