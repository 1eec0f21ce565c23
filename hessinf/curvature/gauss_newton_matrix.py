"""The dense Gauss-Newton matrix, or diagonal blocks of it, in one pass over the data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from hessinf.curvature import blocks as blocks_room
from hessinf.curvature.gauss_newton_block import GaussNewtonBlock
from hessinf.curvature.gauss_newton_rows import GaussNewtonRows
from hessinf.curvature.layer_factors import LayerFactors, LookedUpError, layer_factors
from hessinf.curvature.matrix_part import matrix_part
from hessinf.data.batching import Batch
from hessinf.gradients.layers import LayerGradients, MatrixUnit
from hessinf.runtime.progress import bar

Columns = slice | torch.Tensor
"""Where the parameters of a block lie in a flat vector."""


def gauss_newton_blocks(
    rows: GaussNewtonRows,
    data: Iterable[Batch],
    blocks: Mapping[str, Columns],
    *,
    weight_decay: float,
    total: int,
    stage: str,
) -> dict[str, torch.Tensor]:
    """Form ``1/N Σ rowsᵀ rows + wd·I`` in one pass over the data.

    Parameters
    ----------
    rows
        Computes ``S_iᵀ J_i``.
    data
        The training batches.
    blocks
        Which columns make up each diagonal block.
    weight_decay
        wd.
    total
        N, for the progress bar.
    stage
        What it is called.

    Returns
    -------
    dict of str to torch.Tensor
        ``[P_b, P_b]`` for each block, float64, symmetric.
    """
    sums = GaussNewtonSums(rows, blocks)
    count = 0
    with bar(stage=stage, total=total) as shown:
        for batch in data:
            sums.add(batch)
            count += batch.size
            shown.update(batch.size)
    matrices = sums.matrices()
    for matrix in matrices.values():
        matrix.div_(count).diagonal().add_(weight_decay)
    return matrices


class GaussNewtonSums:
    """Adds up ``rowsᵀ rows``, block by block: from layer factors where that is less work.

    Which layers these are is decided with the first examples, and again when later ones show that
    it does not hold for them: a layer used at more positions, or one not seen before.

    Parameters
    ----------
    rows
        Computes ``S_iᵀ J_i``.
    blocks
        Which columns make up each diagonal block.
    """

    def __init__(self, rows: GaussNewtonRows, blocks: Mapping[str, Columns]) -> None:
        self.rows = rows
        self.columns = blocks
        self._blocks: dict[str, GaussNewtonBlock] = {}
        self._finished: dict[str, torch.Tensor] = {}
        self._units: tuple[MatrixUnit, ...] | None = None
        self._one_position: dict[MatrixUnit, bool] = {}  # of what comes from factors
        self._several_positions: set[MatrixUnit] = set()
        self._looked_up: set[MatrixUnit] = set()
        self._idle: tuple[str, ...] = ()
        self._numbers_beside = 0
        self._numbers_a_column = rows.model.layout.size

    def add(self, batch: Batch) -> None:
        """Add the rows of a batch."""
        for pulled in self.rows.pulled(batch, self._numbers):
            factors = self._factors(pulled.gradients)
            if self._surprising(factors):
                self._decide(pulled.gradients, factors)
            for unit in self._one_position:
                if unit in factors:
                    pulled.check_finite(factors[unit].rows)
                    pulled.check_finite(factors[unit].columns[None])
            full = None
            if any(block.needs_rows for block in self._blocks.values()):
                full = pulled.rows()[pulled.present]  # [M, P]
            for name, block in self._blocks.items():
                own = full[:, self.columns[name]] if full is not None else None
                block.add(factors, own)

    def matrices(self) -> dict[str, torch.Tensor]:
        """Give the sums, ``[P_b, P_b]`` each; they are used up."""
        self._finish()
        for name, columns in self.columns.items():  # nothing has a row
            size = blocks_room.count(columns)
            if name not in self._finished:
                self._finished[name] = torch.zeros(
                    size, size, dtype=torch.float64, device=self.rows.model.device
                )
        return {name: self._finished.pop(name) for name in self.columns}

    def _numbers(self, columns: int) -> int:
        """Say how many numbers an example takes with so many columns at once."""
        return columns * self._numbers_a_column + self._numbers_beside

    def _factors(self, gradients: LayerGradients) -> dict[MatrixUnit, LayerFactors]:
        """Collect the factors of the layers that are added up from them; of all, at first."""
        known = self.rows.capture.units == self._units
        found: dict[MatrixUnit, LayerFactors] = {}
        for unit in self._one_position if known else self.rows.capture.units:
            if unit in self._looked_up:
                continue
            try:
                factors = layer_factors(gradients, unit)
            except LookedUpError:
                self._looked_up.add(unit)
            else:
                if factors is not None:
                    found[unit] = factors
        return found

    def _surprising(self, factors: Mapping[MatrixUnit, LayerFactors]) -> bool:
        """Whether what was decided does not hold for these examples."""
        return (
            self.rows.capture.units != self._units
            or any(name not in self.rows.capture.idle for name in self._idle)
            or any(unit in self._looked_up for unit in self._one_position)
            or any(self._one_position[unit] and x.positions != 1 for unit, x in factors.items())
        )

    def _decide(
        self, gradients: LayerGradients, factors: Mapping[MatrixUnit, LayerFactors]
    ) -> None:
        """Choose what is added up from factors: layers with ``S² <= K``."""
        self._finish()
        self._units, self._idle = self.rows.capture.units, self.rows.capture.idle
        chosen: dict[MatrixUnit, bool] = {}
        for unit, one in factors.items():
            if one.positions != 1:
                self._several_positions.add(unit)
            if one.positions**2 <= gradients.vectors:
                chosen[unit] = unit not in self._several_positions
        self._one_position = chosen
        layout, device = self.rows.model.layout, self.rows.model.device
        places = torch.arange(layout.size, device=device)  # [P]
        in_matrices = {unit: unit.matrix(layout.unflatten(places)) for unit in chosen}  # [O, I]
        idle = torch.zeros(layout.size, dtype=torch.bool, device=device)  # [P]
        for name, part in layout.unflatten(idle).items():
            part.fill_(name in self._idle)
        for name, columns in self.columns.items():
            inside = torch.full((layout.size,), -1, dtype=torch.int64, device=device)  # [P]
            inside[columns] = torch.arange(blocks_room.count(columns), device=device)
            found = [
                matrix_part(unit, inside[matrix], chosen[unit])
                for unit, matrix in in_matrices.items()
            ]
            parts = [part for part in found if part is not None]
            size = blocks_room.count(columns)
            self._blocks[name] = GaussNewtonBlock(size, parts, idle[columns])
        self._plan_memory(factors)

    def _plan_memory(self, factors: Mapping[MatrixUnit, LayerFactors]) -> None:
        """Count the numbers that an example takes: for each column, and beside them."""
        kept = [factors[unit] for unit in self._one_position if unit in factors]
        needs_rows = any(block.needs_rows for block in self._blocks.values())
        layer_outputs = sum(one.rows.shape[2:].numel() for one in kept)
        self._numbers_a_column = layer_outputs + (self.rows.model.layout.size * needs_rows)
        self._numbers_beside = max(
            (
                one.positions
                * other.positions
                * (
                    one.rows.shape[3] * other.rows.shape[3]
                    + one.columns.shape[2] * other.columns.shape[2]
                )
                for one in kept
                for other in kept
                if one.positions > 1 or other.positions > 1
            ),
            default=0,
        )

    def _finish(self) -> None:
        """Put what was added up so far into matrices."""
        for name in list(self._blocks):
            matrix = self._blocks.pop(name).matrix()
            if name in self._finished:
                self._finished[name] += matrix
            else:
                self._finished[name] = matrix
