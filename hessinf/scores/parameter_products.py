"""``ParameterProducts``: a whole parameter of queries times its gradients, formed in tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from hessinf.scores.planner import TILE_EXAMPLES, tile_bytes
from hessinf.scores.precision import ScorePrecision, add_product, shortened


class FormedSource(Protocol):
    """Gradients that are formed as tensors when they are asked for."""

    @property
    def count(self) -> int:
        """B."""

    def formed(self, names: Sequence[str], places: slice, /) -> torch.Tensor:
        """Form gradients of some examples in some parameters, side by side: ``[b, p]``."""


class ParameterProducts:
    """For parameters of very many small matrices, such as convolutions with a group a channel.

    Parameters
    ----------
    queries
        By parameter name, ``[Q, *shape]``.
    names
        The parameters.
    precision
        Of the products.
    """

    def __init__(
        self,
        queries: Mapping[str, torch.Tensor],
        names: Sequence[str],
        precision: ScorePrecision = "model",
    ) -> None:
        self.names = tuple(names)
        self.precision: ScorePrecision = precision
        together = [queries[name].reshape(len(queries[name]), -1) for name in self.names]
        self._queries = shortened(torch.cat(together, dim=1), precision)  # [Q, p]

    def add_to(self, total: torch.Tensor, source: FormedSource) -> None:
        """Add the parameters' share to scores ``[Q, B]``."""
        on_cpu = total.device.type == "cpu"
        a_gradient = self._queries.shape[1] * total.element_size()
        budget = tile_bytes(on_cpu, summed=True)
        step = max(min(budget // a_gradient, TILE_EXAMPLES if on_cpu else budget), 1)
        for start in range(0, source.count, step):
            some = slice(start, min(start + step, source.count))
            formed = shortened(source.formed(self.names, some), self.precision)  # [b, p]
            add_product(total[:, some], self._queries, formed.T)
