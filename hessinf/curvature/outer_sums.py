"""Sums over examples of ``M_n ⊗ (a_n b_nᵀ)``, in the place of a dense matrix where they belong.

Where layers are used at one position of each example, the entries of a curvature matrix between
two of them are

    C[(o, i), (p, j)] = Σ_n M_n[o, p] a_n[i] b_n[j]

with a and b what the layers receive, and ``M_n`` a second derivative of the example's loss in what
they give: a product of two matrices over examples. That is one multiplication for each entry and
example, however many outputs the model has; within a layer a quarter, since both factors are
symmetric. In the Hessian, a later layer's input moves with what an earlier one gives, which adds
``a_n[i] g_n[p] ∂b_n[j]/∂y_n[o]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from hessinf.curvature.matrix_part import MatrixPart, Run
from hessinf.runtime.float32_products import float32_products

FACTORS_AT_ONCE = 1 << 18
"""How many numbers are made of factors before they go into a matrix product. Measured on a CPU with
layers of 64 × 65 and 32 × 65, 2^17 to 2^22 numbers."""

ENTRIES_AT_ONCE = 1 << 20
"""How many entries of the matrix a product makes at once, measured so too."""

PAIRS_AT_ONCE = 1 << 22
"""How many products of inputs are held at once."""

WIDE = 24
"""From so many inputs on, factors of later layers' motion are made first and multiplied once."""


class OuterSums:
    """Adds to a dense matrix; in place of what lies below the diagonal only in the end.

    Parameters
    ----------
    matrix
        ``[P, P]``, row-major, float64.
    parts
        What of it is summed up.
    """

    def __init__(self, matrix: torch.Tensor, parts: Sequence[MatrixPart]) -> None:
        self.matrix = matrix
        self.parts = parts
        self._between: set[tuple[int, int]] = set()

    def add_within(self, place: int, curvature: torch.Tensor, inputs: torch.Tensor) -> None:
        """Add ``Σ_n M_n ⊗ (a_n a_nᵀ)`` to the entries within one layer.

        Parameters
        ----------
        place
            Which of the parts.
        curvature
            M, symmetric: ``[B, O, O]``.
        inputs
            a, ``[B, I']``.
        """
        part = self.parts[place]
        self._between.add((place, place))
        height, width = part.height, part.width
        above = torch.triu_indices(width, width, device=inputs.device)  # [2, I' (I' + 1) / 2]
        pairs = inputs[:, above[0]] * inputs[:, above[1]]  # [B, I' (I' + 1) / 2]
        order = torch.empty(width, width, dtype=torch.int64, device=inputs.device)
        order[above[0], above[1]] = order[above[1], above[0]] = torch.arange(
            above.shape[1], device=inputs.device
        )
        views = list(self._views(place, place))
        for start, stop in _steps(height, max(ENTRIES_AT_ONCE // (height * width * width), 1)):
            rows, columns = _above(start, stop, height, inputs.device)
            chosen = curvature[:, rows, columns]  # [B, m]
            with float32_products():
                products = (chosen.T @ pairs)[:, order.flatten()]  # [m, I' · I']
            entries = products.view(-1, width, width)
            first = 0
            for row in range(start, stop):
                last = first + height - row
                own = entries[first:last].permute(1, 0, 2)  # [I', O - o, I']
                for left, right, there in views:
                    there[row, :, row:, :] += own[left.columns, :, right.columns]
                first = last

    def add_between(
        self,
        left: int,
        right: int,
        curvature: torch.Tensor,
        inputs: torch.Tensor,
        others: torch.Tensor,
        motion: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> None:
        """Add the entries between two layers, or between two uses of one.

        Parameters
        ----------
        left, right
            Which of the parts; of two uses of one layer, both of them the same.
        curvature
            M, ``[B, O, O']``.
        inputs
            a, ``[B, I]``: of the left one.
        others
            b, ``[B, J]``.
        motion
            Where the right one's input moves with what the left one gives: the gradients g in what
            the right one gives, ``[B, O']``, and ``∂b/∂y``, ``[B, O, J]``.
        """
        self._between.add((min(left, right), max(left, right)))
        views = list(self._views(left, right))
        back = list(self._views(right, left)) if left == right else []

        def write(rows: slice, columns: slice, entries: torch.Tensor) -> None:
            """Add entries ``[o, i, O', J]`` of some rows and inputs of the left layer."""
            for one, other, there in views:
                inside = _common(one.columns, columns)
                own = entries[:, _shifted(inside, columns.start), :, other.columns]
                there[rows, _shifted(inside, one.columns.start)] += own
            for other, one, there in back:
                inside = _common(one.columns, columns)
                own = entries[:, _shifted(inside, columns.start), :, other.columns]
                place = there[:, :, rows, _shifted(inside, one.columns.start)]
                place += own.permute(2, 3, 0, 1)

        if motion is not None and inputs.shape[1] >= WIDE:
            _multiply_once(write, curvature, inputs, others, *motion)
            return
        _multiply_pairs(write, curvature, inputs, others)
        if motion is not None:
            gradients, slopes = motion
            # g takes the place of b, and what moves that of M: (o, j) and (i, p) change places.
            _multiply_pairs(
                lambda rows, columns, entries: write(rows, columns, entries.transpose(2, 3)),
                slopes,
                inputs,
                gradients,
            )

    def finished(self) -> torch.Tensor:
        """Fill in what is symmetric to what was added, and give the matrix."""
        for left, right in self._between:
            if left != right:
                for one, other, there in self._views(left, right):
                    back = _view(self.matrix, self.parts[right], other, self.parts[left], one)
                    for start, stop in _steps(there.shape[2], 8):
                        back[start:stop] = there[:, :, start:stop].permute(2, 3, 0, 1)
                continue
            part = self.parts[left]
            for one, other, there in self._views(left, left):
                above = _view(self.matrix, part, other, part, one)
                for row in range(part.height):
                    there[row, :, :row] = above[:row, :, row].permute(2, 0, 1)
                    own = there[row, :, row]  # [I', J']: symmetric up to rounding
                    if one is other:
                        own.copy_(own.triu() + own.triu(1).T)
                    elif one.columns.start > other.columns.start:
                        own.copy_(above[row, :, row].T)
        return self.matrix

    def _views(self, left: int, right: int) -> Iterator[tuple[Run, Run, torch.Tensor]]:
        """Show the entries between two parts, run by run: ``[O, I, O', J]``.

        Of two parts, those of the first one's rows are shown, whichever comes first.
        """
        one, other = self.parts[left], self.parts[right]
        for first in one.runs:
            for second in other.runs:
                if left <= right:
                    there = _view(self.matrix, one, first, other, second)
                else:
                    there = _view(self.matrix, other, second, one, first).permute(2, 3, 0, 1)
                yield first, second, there


Write = Callable[[slice, slice, torch.Tensor], None]
"""Adds the entries ``[o, i, O', J]`` of some rows and inputs of the left layer."""


def _multiply_pairs(
    write: Write, curvature: torch.Tensor, inputs: torch.Tensor, others: torch.Tensor
) -> None:
    """Multiply pairs of outputs with pairs of inputs, ``[B, O O']`` with ``[B, I J]``."""
    count, height, depth = curvature.shape
    breadth = others.shape[1]
    for first, last in _steps(inputs.shape[1], PAIRS_AT_ONCE // (count * breadth)):
        pairs = inputs[:, first:last, None] * others[:, None, :]  # [B, i, J]
        numbers = depth * pairs[0].numel()
        for start, stop in _steps(height, ENTRIES_AT_ONCE // numbers):
            chosen = curvature[:, start:stop].flatten(1)  # [B, o O']
            with float32_products():
                products = chosen.T @ pairs.flatten(1)  # [o O', i J]
            entries = products.view(stop - start, depth, last - first, breadth)
            write(slice(start, stop), slice(first, last), entries.transpose(1, 2))


def _multiply_once(
    write: Write,
    curvature: torch.Tensor,
    inputs: torch.Tensor,
    others: torch.Tensor,
    gradients: torch.Tensor,
    slopes: torch.Tensor,
) -> None:
    """Multiply inputs with what both terms have beside them: ``b M + g ∂b/∂y``, made in tiles."""
    count, height, depth = curvature.shape
    width, breadth = inputs.shape[1], others.shape[1]
    row = depth * breadth
    at_once = max(FACTORS_AT_ONCE // row, 1)  # examples times outputs
    room = inputs.new_empty(min(at_once, count * height) * row)
    for start, stop in _steps(height, at_once // count):
        number = stop - start
        products = inputs.new_zeros(width, number * row)
        for first, last in _steps(count, at_once // number):
            some = slice(first, last)
            shape = (last - first, number, depth, breadth)
            tile = room[: (last - first) * number * row].view(shape)
            torch.mul(curvature[some, start:stop, :, None], others[some, None, None, :], out=tile)
            tile.addcmul_(gradients[some, None, :, None], slopes[some, start:stop, None, :])
            with float32_products():
                products.addmm_(inputs[some].T, tile.flatten(1))
        entries = products.view(width, number, depth, breadth).transpose(0, 1)
        write(slice(start, stop), slice(0, width), entries)


def _view(
    matrix: torch.Tensor, one: MatrixPart, first: Run, other: MatrixPart, second: Run
) -> torch.Tensor:
    """Show entries of a matrix by output and input of both layers: ``[O, I, O', J]``."""
    size = matrix.stride(0)
    return matrix.as_strided(
        (
            one.height,
            first.columns.stop - first.columns.start,
            other.height,
            second.columns.stop - second.columns.start,
        ),
        (first.row_step * size, first.column_step * size, second.row_step, second.column_step),
        matrix.storage_offset() + first.start * size + second.start,
    )


def _steps(size: int, step: int) -> Iterator[tuple[int, int]]:
    step = max(step, 1)
    for start in range(0, size, step):
        yield start, min(start + step, size)


def _above(
    start: int, stop: int, size: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """List the places on and above the diagonal in some rows of a square matrix."""
    rows, columns = torch.triu_indices(stop - start, size - start, device=device) + start
    return rows, columns


def _common(one: slice, other: slice) -> slice:
    start = max(one.start, other.start)
    return slice(start, max(min(one.stop, other.stop), start))


def _shifted(columns: slice, by: int) -> slice:
    return slice(columns.start - by, columns.stop - by)
