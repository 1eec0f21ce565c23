"""``LinearizedData``: the curvature of all training losses, ready for products."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch

from hessinf.data.batching import Batch
from hessinf.gradients.block_vectors import BlockVectors
from hessinf.gradients.layout import ParameterLayout
from hessinf.gradients.linearization import Linearization

NUMBERS_TOGETHER = 1 << 22
"""Of vectors that go through all examples together: copies of so many are cheap."""

EXAMPLES_SUMMED = 4096
"""What more examples than this give in float32 is added up in float64."""


class LinearizedData:
    """Linearizations of all batches.

    Parameters
    ----------
    layout
        Of θ.
    parts
        At least one, in the order of the data.
    """

    def __init__(self, layout: ParameterLayout, parts: Sequence[Linearization]) -> None:
        self.layout = layout
        self.parts = parts
        self.size = sum(part.size for part in parts)
        """N."""

    def select(self, places: torch.Tensor) -> Linearization:
        """Linearize some examples, ``places`` ``[B]``: what is known of them is copied."""
        if len(self.parts) == 1:
            return self.parts[0].select(places)
        chosen, first = [], 0
        for part in self.parts:
            inside = (places >= first) & (places < first + part.size)  # [B]
            if bool(inside.any()):
                chosen.append(part.select(places[inside] - first))
            first += part.size
        return type(chosen[0]).joined(chosen)

    def add_batch_products(
        self, places: torch.Tensor, vectors: BlockVectors, into: BlockVectors, factor: float
    ) -> None:
        """Add ``factor · C_t v`` to other vectors, ``C_t`` being the mean over some examples.

        Parameters
        ----------
        places
            Of the examples, ``[B]``, on the CPU.
        vectors
            K vectors v.
        into
            K others.
        factor
            A number.
        """
        self.select(places).add_products(vectors, into, factor / len(places))

    def products(self, vectors: torch.Tensor, weight_decay: float) -> torch.Tensor:
        """Multiply the mean curvature, and weight decay, with row vectors ``[K, P]``."""
        found = torch.empty_like(vectors)  # [K, P]
        together = max(NUMBERS_TOGETHER // max(self.layout.size, 1), 8)
        for given, out in zip(
            torch.split(vectors, together), torch.split(found, together), strict=True
        ):
            blocks = BlockVectors.of_rows(given, self.layout)
            self._sum(blocks, out)
            if weight_decay:
                out.add_(given, alpha=weight_decay)
        return found

    def _sum(self, vectors: BlockVectors, out: torch.Tensor) -> None:
        """Write the mean over examples into ``out``, ``[K, P]``."""
        wide = out.dtype != torch.float64 and self.size > EXAMPLES_SUMMED
        total = torch.zeros_like(out, dtype=torch.float64) if wide else None
        summed, count = vectors.zeros(), 0
        for part in self.parts:
            if total is not None and count and count + part.size > EXAMPLES_SUMMED:
                summed.add_to(total)
                summed.numbers.zero_()
                count = 0
            part.add_products(vectors, summed)
            count += part.size
        if total is None:
            summed.numbers.div_(self.size)
            summed.rows(out)
        else:
            summed.add_to(total)
            out.copy_(total.div_(self.size))


def linearized_data(
    layout: ParameterLayout,
    data: Iterable[Batch],
    linearize: Callable[[Batch], Linearization],
    limit: float,
) -> LinearizedData | None:
    """Linearize all batches, if what that takes can be kept.

    Parameters
    ----------
    layout
        Of θ.
    data
        Batches.
    linearize
        Gives the linearization of one.
    limit
        In bytes.

    Returns
    -------
    LinearizedData or None
        None where there are no examples, or more is to be kept than the limit.
    """
    parts: list[Linearization] = []
    group: list[Linearization] = []
    held = 0
    for batch in data:
        if batch.size == 0:
            continue
        found = linearize(batch)
        held += found.nbytes
        if held > limit:
            return None
        if group and sum(part.size for part in group) + found.size > EXAMPLES_SUMMED:
            parts.append(_joined(group))
            group = []
        group.append(found)
    if group:
        parts.append(_joined(group))
    return LinearizedData(layout, parts) if parts else None


def _joined(group: list[Linearization]) -> Linearization:
    return group[0] if len(group) == 1 else type(group[0]).joined(group)
