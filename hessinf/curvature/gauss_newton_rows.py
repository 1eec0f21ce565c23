"""Rows ``S_iᵀ J_i`` of the Gauss-Newton matrix: ``C = 1/N Σ_i (S_iᵀJ_i)ᵀ (S_iᵀJ_i) + wd·I``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from hessinf.curvature.gauss_newton_columns import OutputColumns
from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel, GradientError
from hessinf.gradients.layers import LayerCapture, LayerGradients
from hessinf.models import Objective

NUMBERS_AT_ONCE = 1 << 25
"""How many numbers are computed together unless said otherwise."""

CACHED_NUMBERS = 1 << 21
"""As many of them on a CPU: up to four times faster while they stay in its cache. Measured on an
MLP of 2,778 parameters, 2^20 to 2^25 numbers."""

EXAMPLES_WORTH_A_PRODUCT = 128
"""With fewer examples at once, adding up what they give to a matrix is bound by memory."""


@dataclass(frozen=True)
class PulledColumns:
    """Some columns of the square roots of some examples, pulled back to the parameters.

    Parameters
    ----------
    batch
        B examples.
    gradients
        Of K columns of each of them.
    counts
        How many columns each example has altogether, ``[B]``.
    place
        Of the first of the examples in their batch.
    first
        The number of the first of the columns.
    """

    batch: Batch
    gradients: LayerGradients
    counts: torch.Tensor
    place: int
    first: int

    @property
    def numbers(self) -> torch.Tensor:
        """The numbers of the columns, ``[K]``."""
        count = self.gradients.vectors
        return torch.arange(self.first, self.first + count, device=self.counts.device)

    @property
    def present(self) -> torch.Tensor:
        """Which of the columns are there, ``[B, K]``; the others are zero."""
        return self.numbers < self.counts[:, None]

    def rows(self) -> torch.Tensor:
        """Compute the rows in full, ``[B, K, P]``."""
        tensors = self.gradients.materialize()
        rows = torch.cat(
            [x.reshape(*x.shape[:2], -1) for x in tensors.values()], dim=2
        )  # [K, B, P]
        self.check_finite(rows)
        return rows.transpose(0, 1)

    def check_finite(self, values: torch.Tensor) -> None:
        """Refuse numbers ``[K, B, ...]`` that are not finite, and name the example.

        Raises
        ------
        GradientError
            When there are some.
        """
        finite = values.isfinite().flatten(2).all(dim=2).all(dim=0)  # [B]
        if not bool(finite.all()):
            place = int((~finite).nonzero()[0])
            raise GradientError(
                f"the Gauss-Newton rows of example {int(self.batch.indices[place])} are not "
                "finite; likely causes: NaN or huge values among its inputs, a model whose "
                "training diverged, or a square root or logarithm at zero"
            )


class GaussNewtonRows:
    """Computes the rows of every example: the columns of S, pulled back to the parameters.

    Parameters
    ----------
    model
        The model as a function of θ, in evaluation mode while this is used.
    objective
        The loss of every example.
    numbers_at_once
        How many numbers there is room for, about.
    """

    def __init__(
        self, model: FunctionalModel, objective: Objective, numbers_at_once: int = NUMBERS_AT_ONCE
    ) -> None:
        self.model = model
        self.objective = objective
        self.numbers_at_once = max(numbers_at_once, 1)
        self.capture = LayerCapture(model)

    def counts(self, batch: Batch) -> torch.Tensor:
        """Count the rows of every example, ``[B]``: its outputs are computed, no derivative."""
        return torch.cat([columns.counts for _, _, columns in self._square_roots(batch)])

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Compute all rows of a batch.

        Parameters
        ----------
        batch
            B examples, on the model's device.

        Returns
        -------
        torch.Tensor
            ``[B, R, P]``, R being the most rows of an example; others have zeros at the end.

        Raises
        ------
        CurvatureError
            When the objective has no square root of its output Hessian.
        GradientError
            When a row is not finite, or the model cannot be differentiated.
        """
        most = int(self.counts(batch).max())
        size = self.model.layout.size
        rows = torch.zeros(
            batch.size, most, size, dtype=self.model.dtype, device=self.model.device
        )  # [B, R, P]
        for pulled in self.pulled(batch, self._in_full):
            found = pulled.rows()  # [B', K, P]
            examples = slice(pulled.place, pulled.place + len(found))
            rows[examples, pulled.first : pulled.first + found.shape[1]] = found
        return rows

    def pieces(self, batch: Batch) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Compute the rows of a batch piece by piece, without zeros.

        Yields
        ------
        torch.Tensor
            Rows, ``[M, P]``.
        torch.Tensor
            Their places among all rows of the batch, ``[M]``: example by example, whatever the
            pieces are.
        """
        counts = self.counts(batch)  # [B]
        starts = counts.cumsum(0) - counts  # [B]
        for pulled in self.pulled(batch, self._in_full):
            own = starts[pulled.place : pulled.place + pulled.batch.size]  # [B']
            places = own[:, None] + pulled.numbers  # [B', K]
            yield pulled.rows()[pulled.present], places[pulled.present]

    def _in_full(self, columns: int) -> int:
        return columns * self.model.layout.size

    def pulled(self, batch: Batch, numbers: Callable[[int], int]) -> Iterator[PulledColumns]:
        """Pull columns back, as many examples and columns at once as there is room for.

        Parameters
        ----------
        batch
            B examples.
        numbers
            From K columns to how many numbers an example then takes.
        """
        for place, chunk, columns in self._square_roots(batch):
            if columns.most == 0:
                continue
            start = 0
            while start < chunk.size:
                together = columns.most
                while together > 1 and numbers(together) > self.numbers_at_once:
                    together = -(-together // 2)
                some = slice(start, start + self._examples_at_once(numbers(together)))
                part, own = chunk.select(some), columns.select(some)
                with self.capture.recording(part) as record:
                    for first in range(0, own.most, together):
                        cotangents = own.cotangents(first, min(first + together, own.most))
                        gradients = record.pull_back(cotangents)
                        yield PulledColumns(part, gradients, own.counts, place + start, first)
                start = some.stop

    def _examples_at_once(self, numbers: int) -> int:
        """Say how many examples there is room for, each of which takes so many numbers."""
        room = self.numbers_at_once
        if self.model.device.type == "cpu":
            room = min(room, max(CACHED_NUMBERS, EXAMPLES_WORTH_A_PRODUCT * numbers))
        return max(room // max(numbers, 1), 1)

    def _square_roots(self, batch: Batch) -> Iterator[tuple[int, Batch, OutputColumns]]:
        """Compute the square roots, of as many examples at once as there is room for.

        Yields the place of the first example in the batch, the examples, and their columns.
        """
        with torch.no_grad():
            outputs = self.model.outputs(self.model.parameters, batch.inputs)  # [B, ...]
        width = outputs.shape[-1] if outputs.ndim > 1 else 1
        size = self._examples_at_once(outputs[:1].numel() * width)
        for start in range(0, batch.size, size):
            part = batch.select(slice(start, start + size))
            some = outputs[start : start + size]
            yield start, part, OutputColumns(self.objective, some, part.targets)
