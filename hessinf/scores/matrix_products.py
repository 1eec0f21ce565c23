"""``MatrixProducts``: matrices of queries times gradients that are sums of outer products."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hessinf.gradients.layers import MatrixUnit, Usage
from hessinf.gradients.layers.usage import outer_products
from hessinf.scores.cost_model import Factors, Shape, Strategy
from hessinf.scores.joined_factors import FactorSource, factor_shapes, joined
from hessinf.scores.planner import (
    Choice,
    choose_for_matrices,
    tile_bytes,
    tile_of,
    tile_of_products,
)
from hessinf.scores.precision import ScorePrecision, add_product, shortened
from hessinf.scores.workspace import Workspace


class MatrixProducts:
    """Multiplies a matrix of each of Q queries with the gradients of training examples in it.

    ``score[q, b] = ⟨M_q, Σ_s r_bs ⊗ c_bs⟩``. The gradients ``[B, O, I]`` are never formed all at
    once, and the way to go is chosen by what it costs (:mod:`hessinf.scores.cost_model`).

    Parameters
    ----------
    matrices
        ``[Q, O, I]``. Its last two dimensions should lie in memory one after the other, in this
        order or the other one; queries may lie as far apart as they like.
    bias
        ``[Q, O]``, where the bias's column is no part of ``matrices``; None where it is, or where
        there is no bias.
    name
        What the matrix is called in plans.
    strategy
        The one way to go wherever it is possible; None to choose.
    precision
        Of the products.
    workspace
        Memory for tiles, which others may use in turn.
    """

    def __init__(
        self,
        matrices: torch.Tensor,
        bias: torch.Tensor | None = None,
        *,
        name: str = "",
        strategy: Strategy | None = None,
        precision: ScorePrecision = "model",
        workspace: Workspace | None = None,
    ) -> None:
        self.matrices = matrices = shortened(matrices, precision)
        self.bias = bias
        self.name = name
        self.strategy = strategy
        self.precision: ScorePrecision = precision
        self._workspace = workspace or Workspace()
        columns_last = matrices.stride(2) == 1 and matrices.stride(1) == matrices.shape[2]
        rows_last = matrices.stride(1) == 1 and matrices.stride(2) == matrices.shape[1]
        if not columns_last and not rows_last:
            self.matrices, columns_last = matrices.contiguous(), True
        self._transposed = not columns_last
        """Whether they lie in memory as ``[Q, I, O]``."""
        self._laid_out = (
            self.matrices.transpose(1, 2) if self._transposed else self.matrices
        ).flatten(1)  # [Q, O·I], a view

    def plan(self, source: FactorSource, unit: MatrixUnit) -> list[Choice]:
        """Say what :meth:`add_to` would do with B examples."""
        found = []
        for own in factor_shapes(source, unit):
            strategy, cost = choose_for_matrices(self._shape(own), self.strategy)
            found.append(Choice(self.name or unit.name, strategy, cost))
        return found

    def add_to(self, total: torch.Tensor, source: FactorSource, unit: MatrixUnit) -> None:
        """Add a matrix's share to scores, with the factors of a few examples at a time.

        Parameters
        ----------
        total
            ``[Q, B]``.
        source
            The gradients of B examples.
        unit
            The matrix.
        """
        shapes = factor_shapes(source, unit)
        if all(own.positions == 1 for own in shapes):  # nothing is copied to make them
            self.add_usages(total, source.usages(unit))
            return
        step = min(tile_of(self._shape(own), self._on_cpu).examples for own in shapes)
        for start in range(0, source.count, step):
            some = slice(start, min(start + step, source.count))
            self.add_usages(total[:, some], source.select(some).usages(unit), source.count)

    def add_usages(
        self, total: torch.Tensor, usages: Sequence[Usage], count: int | None = None
    ) -> None:
        """Add the share of factors that are at hand.

        Parameters
        ----------
        total
            ``[Q, B]``.
        usages
            The factors of B examples, K = 1.
        count
            How many examples there are in all, of which these are a part.
        """
        if self.bias is not None:
            for usage in usages:
                self._add_bias(total, usage)
        for side in joined(usages, with_bias=self.bias is None):
            rows, columns = (
                x if x.dtype == torch.int64 else shortened(x, self.precision)
                for x in (side.rows, side.columns)
            )
            shape = self._shape(Factors(count or total.shape[1], side.positions, side.ids))
            strategy, _ = choose_for_matrices(shape, self.strategy)
            if strategy == "outer-products":
                self._outer_products(total, rows, columns, shape)
            elif strategy == "columns-first":
                self._one_side_first(total, self.matrices, columns, rows)
            elif strategy == "rows-first":
                self._one_side_first(total, self.matrices.transpose(1, 2), rows, columns)
            else:
                self._gather(total, rows, columns)

    def _add_bias(self, total: torch.Tensor, usage: Usage) -> None:
        if self.bias is not None and usage.bias_column:
            rows = usage.rows[0]  # [B, S, O]
            sums = rows.sum(1) if rows.shape[1] > 1 else rows[:, 0]  # [B, O]
            total.addmm_(self.bias, sums.T, alpha=usage.bias_column)

    def _shape(self, examples: Factors) -> Shape:
        queries, outer, inner = self.matrices.shape
        return Shape(queries, examples, outer, inner, self.matrices.element_size())

    @property
    def _on_cpu(self) -> bool:
        return self.matrices.device.type == "cpu"

    def _outer_products(
        self, total: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, shape: Shape
    ) -> None:
        """Form gradients in tiles, and multiply all queries with each tile."""
        tile = tile_of(shape, self._on_cpu)
        count = total.shape[1]
        # What lies first in memory is cut into pieces: rows, unless the matrices are transposed.
        first, second = (columns, rows) if self._transposed else (rows, columns)
        for start in range(0, count, tile.examples):
            some = slice(start, min(start + tile.examples, count))
            if shape.examples.ids:
                table = outer_products(
                    "columns", rows[some], columns[some].unsqueeze(0), shape.out_features
                )[0]  # [b, O, I]
                flat = (table.transpose(1, 2) if self._transposed else table).flatten(1)
                add_product(total[:, some], self._laid_out, flat.T)
                continue
            width = second.shape[2]
            step = max(tile.numbers // (tile.examples * width), 1)
            for top in range(0, first.shape[2], step):
                piece = slice(top, min(top + step, first.shape[2]))
                formed = self._formed(first[some, :, piece], second[some])  # [b, o, I]
                there = self._laid_out[:, piece.start * width : piece.stop * width]  # [Q, o·I]
                add_product(total[:, some], there, formed.flatten(1).T)

    def _formed(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Sum the outer products of ``[b, S, o]`` and ``[b, S, I]``: ``[b, o, I]``."""
        shape = (len(first), first.shape[2], second.shape[2])
        out = self._workspace.take("tile", shape, first)
        if first.shape[1] == 1:
            return torch.mul(first.transpose(1, 2), second, out=out)
        return torch.bmm(first.transpose(1, 2), second, out=out)

    def _one_side_first(
        self,
        total: torch.Tensor,
        matrices: torch.Tensor,
        contracted: torch.Tensor,
        left: torch.Tensor,
    ) -> None:
        """Contract ``[Q, L, R]`` with ``[B, S, R]``, and then with ``[B, S, L]``."""
        count, positions, inner = contracted.shape
        outer = left.shape[2]
        rows, numbers = tile_of_products(self._on_cpu, outer, matrices.element_size())
        examples = max(rows // positions, 1)
        for start in range(0, count, examples):
            some = slice(start, min(start + examples, count))
            across = contracted[some].reshape(-1, inner)  # [b·S, R]
            beside = left[some].reshape(-1, outer)  # [b·S, L]
            step = max(numbers // beside.numel(), 1)
            for top in range(0, len(matrices), step):
                those = matrices[top : top + step].transpose(1, 2)  # [q, R, L]
                out = self._workspace.take("products", (len(those), *beside.shape), those)
                torch.bmm(across.expand(len(those), *across.shape), those, out=out)  # [q, b·S, L]
                summed = out.mul_(beside).sum(2, dtype=total.dtype)  # [q, b·S]
                if positions > 1:
                    summed = summed.reshape(len(those), -1, positions).sum(2)  # [q, b]
                total[top : top + step, some] += summed

    def _gather(self, total: torch.Tensor, ids: torch.Tensor, columns: torch.Tensor) -> None:
        """Take the rows of the matrices that examples look up, and sum them with columns."""
        count, positions, inner = columns.shape
        budget = tile_bytes(self._on_cpu, summed=False) // columns.element_size()
        examples = max(budget // (positions * inner), 1)
        for start in range(0, count, examples):
            some = slice(start, min(start + examples, count))
            places = ids[some].flatten()  # [b·S]
            beside = columns[some].reshape(-1, inner)  # [b·S, I]
            for query, matrix in enumerate(self.matrices):  # [O, I]
                products = matrix[places].mul_(beside).sum(1, dtype=total.dtype)  # [b·S]
                total[query, some] += products.reshape(-1, positions).sum(1)
