"""The rows U of the Gauss-Newton matrix ``C = UᵀU + wd·I`` as the dual form uses them.

U is ``[M, P]``: the rows ``S_iᵀJ_i / √N`` of all training examples, one after another. It is held
in factors where layers have them, and computed anew for every use where it does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import torch

from hessinf.curvature.cholesky import mirror_upper
from hessinf.curvature.dual_factors import RowFactors, RowLayout, laid_out
from hessinf.curvature.errors import CurvatureError
from hessinf.curvature.gauss_newton_rows import GaussNewtonRows, PulledColumns
from hessinf.curvature.layer_factors import LayerFactors, LookedUpError, layer_factors
from hessinf.data.batching import Batch
from hessinf.gradients.layers import MatrixUnit
from hessinf.runtime.progress import bar

TILE = 1024
"""Rows on each side of what is computed of the Gram matrix at once."""

Result = TypeVar("Result")


class _LearntMoreError(Exception):
    """An example uses layers that earlier ones did not: what is in factors has to be seen anew."""


class DualRows:
    """The rows of all training examples.

    Parameters
    ----------
    rows
        Computes ``S_iᵀ J_i``.
    data
        The training batches, in order.
    row_counts
        How many rows each training example has, ``[N]``.
    numbers_kept
        How many numbers may be kept: all rows, in factors, where they fit; otherwise some of them,
        while the others are computed anew.
    """

    def __init__(
        self,
        rows: GaussNewtonRows,
        data: Iterable[Batch],
        row_counts: torch.Tensor,
        *,
        numbers_kept: int,
    ) -> None:
        self.rows = rows
        self.data = data
        self.row_counts = row_counts.cpu()
        self.numbers_kept = numbers_kept
        self.number = int(row_counts.sum())
        """M."""
        self._layout: RowLayout | None = None
        self._kept: list[RowFactors] | None = None
        self._fit_together = True
        self._looked_up: set[MatrixUnit] = set()

    # -- what is asked for -----------------------------------------------------------------------

    def gram(self, stage: str) -> torch.Tensor:
        """Compute ``K = UUᵀ``, ``[M, M]``, float64, tile by tile."""
        device = self.rows.model.device
        gram = torch.zeros(self.number, self.number, dtype=torch.float64, device=device)

        def fill() -> None:
            with bar(stage=stage, total=self.number, unit="rows") as shown:
                for panel in self._panels():
                    last = max(int(piece.places.max()) for piece in panel) + 1
                    for other in self._pieces(last):
                        for piece in panel:
                            _write(gram, other, piece)
                    shown.update(sum(len(piece.places) for piece in panel))

        self._repeated(fill)
        mirror_upper(gram)
        return gram

    def project(self, vectors: torch.Tensor) -> torch.Tensor:
        """Compute ``U v`` for row vectors: ``[Q, P]`` to ``[Q, M]``, float64."""

        def projected() -> torch.Tensor:
            found = vectors.new_zeros(len(vectors), self.number)  # [Q, M]
            split: tuple[dict[MatrixUnit, torch.Tensor], torch.Tensor] | None = None
            for piece in self._pieces():
                split = split or self._split(vectors, piece.layout)
                found[:, piece.places] = piece.project(*split)
            return found

        return self._repeated(projected)

    def combine(self, weights: torch.Tensor) -> torch.Tensor:
        """Compute ``Uᵀ y`` for row vectors: ``[Q, M]`` to ``[Q, P]``, float64."""

        def combined() -> torch.Tensor:
            zeros = weights.new_zeros(len(weights), self.rows.model.layout.size)  # [Q, P]
            split: tuple[dict[MatrixUnit, torch.Tensor], torch.Tensor] | None = None
            for piece in self._pieces():
                split = split or self._split(zeros, piece.layout)
                piece.combine(weights[:, piece.places], *split)
            return zeros if split is None else self._joined(*split)

        return self._repeated(combined)

    @property
    def layout(self) -> RowLayout | None:
        """What rows have in factors; None before any was computed."""
        return self._layout

    def kept(self) -> Sequence[RowFactors] | None:
        """Give all rows, where they fit and can be kept; None where they are computed anew."""

        def collect() -> None:
            for _ in self._pieces():
                if not self._fit_together:
                    break

        if self._kept is None and self._fit_together:
            self._repeated(collect)
        return self._kept

    # -- vectors in parts ------------------------------------------------------------------------

    def _split(
        self, vectors: torch.Tensor, layout: RowLayout
    ) -> tuple[dict[MatrixUnit, torch.Tensor], torch.Tensor]:
        """Cut vectors ``[Q, P]`` into matrices ``[Q, O, I]`` and the rest, ``[Q, W]``."""
        tensors = self.rows.model.layout.unflatten(vectors)
        matrices = {unit: unit.matrix(tensors).clone() for unit in layout.units}
        rest = [tensors[name].reshape(len(vectors), -1) for name in layout.names]
        return matrices, torch.cat([vectors[:, :0], *rest], dim=1)

    def _joined(self, matrices: dict[MatrixUnit, torch.Tensor], full: torch.Tensor) -> torch.Tensor:
        """Undo :meth:`_split`."""
        assert self._layout is not None
        layout = self.rows.model.layout
        vectors = full.new_zeros(len(full), layout.size)  # [Q, P]
        tensors = layout.unflatten(vectors)  # views
        for unit, matrix in matrices.items():
            unit.scatter(matrix, tensors)
        start = 0
        for name in self._layout.names:
            own = tensors[name]
            stop = start + own[0].numel()
            own.copy_(full[:, start:stop].view(own.shape))
            start = stop
        return vectors

    # -- rows, kept or computed --------------------------------------------------------------------

    def _repeated(self, work: Callable[[], Result]) -> Result:
        """Do the work; again where it has turned out that rows have to be cut in another way."""
        while True:
            try:
                return work()
            except _LearntMoreError:
                self._layout, self._kept, self._fit_together = None, None, True

    def _pieces(self, stop: int | None = None) -> Iterator[RowFactors]:
        """Go through all rows, or those before ``stop`` and some more, in order."""
        last = self.number if stop is None else stop
        if self._kept is not None:
            yield from (piece for piece in self._kept if int(piece.places.min()) < last)
            return
        collecting = self._fit_together and last >= self.number
        kept: list[RowFactors] = []
        held = 0
        for piece in self._computed(0, last):
            yield piece
            if collecting:
                kept.append(piece)
                held += piece.numbers
                if held > self.numbers_kept:
                    collecting, self._fit_together = False, False
                    kept.clear()
        if collecting:
            self._kept = kept

    def _panels(self) -> Iterator[Sequence[RowFactors]]:
        """Go through all rows, in as few parts as may be held at once."""
        if (kept := self.kept()) is not None:
            yield from ([piece] for piece in kept)
            return
        panel: list[RowFactors] = []
        held = 0
        for piece in self._computed(0, self.number):
            panel.append(piece)
            held += piece.numbers
            if held > self.numbers_kept:
                yield panel
                panel, held = [], 0
        if panel:
            yield panel

    def _computed(self, first: int, last: int) -> Iterator[RowFactors]:
        """Compute rows anew: of the batches that have some from ``first`` to ``last``."""
        before = 0
        for batch in self.data:
            counts = self.row_counts[batch.indices]  # [B]
            expected = int(counts.sum())
            if before < last and before + expected > first:
                starts = (before + counts.cumsum(0) - counts).to(self.rows.model.device)  # [B]
                found = torch.zeros_like(counts)  # [B]
                for pulled in self.rows.pulled(batch, self._numbers):
                    own = slice(pulled.place, pulled.place + pulled.batch.size)
                    found[own] = pulled.counts.cpu()
                    if not torch.equal(found[own], counts[own]):
                        break
                    yield from self._factored(pulled, starts)
                _require_as_before(batch, found, counts)
            before += expected

    def _numbers(self, columns: int) -> int:
        """Say how many numbers an example takes with so many columns at once."""
        if self._layout is None:
            return columns * self.rows.model.layout.size
        shapes = self.rows.model.layout.shapes
        full = sum(shapes[name].numel() for name in self._layout.names)
        sides = sum(unit.out_features + unit.in_features for unit in self._layout.units)
        return columns * (full + sides)

    def _factored(self, pulled: PulledColumns, starts: torch.Tensor) -> Iterator[RowFactors]:
        """Turn rows into pieces of at most :data:`TILE` rows, or of one example."""
        layout = self._decided(pulled)
        factors: list[LayerFactors | None] = []
        for unit in layout.units:
            try:
                factors.append(layer_factors(pulled.gradients, unit))
            except LookedUpError as error:
                self._looked_up.add(unit)
                raise _LearntMoreError from error
        scale = len(self.row_counts) ** -0.5
        known = tuple(None if one is None else laid_out(one, scale) for one in factors)
        tensors = pulled.gradients.materialize(layout.names) if layout.names else {}
        count = pulled.gradients.vectors
        whole = torch.zeros(count, pulled.batch.size, 0, device=starts.device)
        parts = [x.reshape(*x.shape[:2], -1) for x in tensors.values()]
        full = torch.cat([whole, *parts], dim=2)  # [K, B, W]
        for values in (full, *(x.rows for x in known if x), *(x.columns[None] for x in known if x)):
            pulled.check_finite(values)
        full = full.double().transpose(0, 1) * scale  # [B, K, W]
        positions = max((one.positions for one in known if one is not None), default=1)
        at_once = max(TILE // (count * positions), 1)
        own = starts[pulled.place : pulled.place + pulled.batch.size]  # [B]
        places = own[:, None] + pulled.numbers  # [B, K]
        for start in range(0, pulled.batch.size, at_once):
            some = slice(start, start + at_once)
            present = pulled.present[some]
            if bool(present.any()):
                yield RowFactors(
                    layout,
                    places[some][present],
                    present,
                    tuple(one and one.select(some) for one in known),
                    full[some].flatten(0, 1),
                )

    def _decided(self, pulled: PulledColumns) -> RowLayout:
        """Decide at first which matrices are held in factors; see later that it still holds."""
        units = self.rows.capture.units
        if self._layout is None:
            less = [
                unit
                for unit in units
                if unit not in self._looked_up and _is_less_work(pulled, unit)
            ]
            left = {name for unit in units if unit not in less for name in unit.parameters}
            # Parameters of which other matrices have a part stay whole.
            chosen = tuple(unit for unit in less if not left & set(unit.parameters))
            covered = {name for unit in chosen for name in unit.parameters}
            idle = self.rows.capture.idle
            names = (n for n in self.rows.model.layout.shapes if n not in covered | set(idle))
            self._layout = RowLayout(chosen, tuple(names), idle)
        elif any(unit not in units for unit in self._layout.units) or any(
            name not in self.rows.capture.idle for name in self._layout.idle
        ):
            raise _LearntMoreError
        return self._layout


def _write(gram: torch.Tensor, other: RowFactors, piece: RowFactors) -> None:
    """Write the inner products of some rows with some others where they belong."""
    rows, columns = other.span, piece.span
    if isinstance(rows, slice) and isinstance(columns, slice):
        gram[rows, columns] = other.gram(piece)
    else:
        gram[other.places[:, None], piece.places] = other.gram(piece)


def _require_as_before(batch: Batch, found: torch.Tensor, expected: torch.Tensor) -> None:
    """Refuse rows that cannot be those of the Gram matrix, which may have been read from a file."""
    different = found != expected  # [B]
    if bool(different.any()):
        place = int(different.nonzero()[0])
        raise CurvatureError(
            f"training example {int(batch.indices[place])} has {int(found[place])} Gauss-Newton "
            f"rows that are not zero, and had {int(expected[place])} when the Gram matrix was "
            "formed; fit again, on this device and with this batch_size"
        )


def _is_less_work(pulled: PulledColumns, unit: MatrixUnit) -> bool:
    """Whether inner products of rows are less work in factors than in full."""
    try:
        factors = layer_factors(pulled.gradients, unit)
    except LookedUpError:
        return False
    if factors is None:
        return False
    columns, outputs, inputs = pulled.gradients.vectors, unit.out_features, unit.in_features
    in_factors = factors.positions**2 * (columns**2 * (outputs + 1) + inputs)
    return in_factors < columns**2 * outputs * inputs
