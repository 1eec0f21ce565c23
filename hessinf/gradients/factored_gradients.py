"""``FactoredGradients``: per-example gradients as factors, made into tensors when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch

from hessinf.gradients.gradients import Gradients
from hessinf.gradients.layers.layer_gradients import LayerGradients
from hessinf.gradients.layers.matrix_unit import MatrixUnit
from hessinf.gradients.layers.usage import Usage
from hessinf.gradients.layout import ParameterLayout


class FactoredGradients(Gradients):
    """Gradients of B examples whose matrices are held as sums of outer products.

    What no matrix covers (scales, shifts, parameters of functions that are not known) is computed
    when this is made, and kept as numbers. Everything that :class:`Gradients` offers is there too:
    tensors are formed when they are asked for, and kept as long as this object.

    Parameters
    ----------
    factors
        Gradients of K = 1 number of each example.
    """

    def __init__(self, factors: LayerGradients) -> None:
        super().__init__({})
        within = {name for unit in factors.plan.units for name in unit.parameters}
        idle = set(factors.plan.idle)
        shapes = factors.plan.shapes
        self.layout = ParameterLayout(shapes)
        """How all θ lie in a flat vector."""
        self.rest_layout = ParameterLayout(
            {name: shape for name, shape in shapes.items() if name not in within | idle}
        )
        """How what no matrix covers lies in :attr:`rest`."""
        self.rest = factors.flatten(self.rest_layout.shapes)[0]  # [B, R]
        """The gradients in what no matrix covers, ``[B, R]``; idle parameters are left out."""
        self.factors = factors.without_graph()
        """The factors of the matrices, ``K = 1``."""

    @property
    def units(self) -> tuple[MatrixUnit, ...]:
        """The matrices, in the order of θ."""
        return self.factors.plan.units

    @property
    def rest_names(self) -> tuple[str, ...]:
        """The parameters in :attr:`rest`; those in no unit, and not idle."""
        return tuple(self.rest_layout.shapes)

    def usages(self, unit: MatrixUnit) -> list[Usage]:
        """List the factors of a matrix's gradient, one :class:`Usage` with K = 1 for each call."""
        return self.factors.usages(unit)

    def positions(self, unit: MatrixUnit) -> dict[Literal["rows", "columns"], int]:
        """Count the positions in :meth:`usages`, by the side of the gradient; no factor is made."""
        return self.factors.positions(unit)

    def formed(self, names: Sequence[str], places: slice = slice(None)) -> torch.Tensor:
        """Form gradients of some examples in some parameters, side by side; they are not kept.

        Parameters
        ----------
        names
            Parameters that matrices cover.
        places
            The examples.

        Returns
        -------
        torch.Tensor
            ``[b, p]``, parameters in the order of θ.
        """
        return self.factors.select(places).flatten(names)[0]

    @property
    def count(self) -> int:
        """B, how many examples there are."""
        return self.factors.count

    @property
    def memory(self) -> int:
        """How many bytes factors and the rest take, tensors that were formed left out."""
        return self.factors.memory + self.rest.nbytes

    def bound(self) -> torch.Tensor:
        """Return a number that is finite only where all gradients are; no gradient is formed.

        No entry of a sum of outer products is larger than the product of its factors' norms.
        """
        return self.factors.bound() + self.rest.sum()

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self._blocks:
            if self._flat is not None:
                self._blocks |= self.layout.unflatten(self._flat)
            elif name in self.rest_layout.shapes:
                self._blocks |= self.rest_layout.unflatten(self.rest)
            else:
                self._blocks[name] = self.factors.materialize([name])[name][0]
        return self._blocks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout.shapes)

    def __len__(self) -> int:
        """Count the blocks."""
        return len(self.layout.shapes)

    def flatten(self) -> torch.Tensor:
        """Form all gradients side by side, ``[B, P]``."""
        if self._flat is None:
            flat = self.rest.new_empty(self.count, self.layout.size)  # [B, P]
            parts = self.layout.unflatten(flat)
            for name, values in self.rest_layout.unflatten(self.rest).items():
                parts.pop(name).copy_(values)
            self.factors.fill({name: part.unsqueeze(0) for name, part in parts.items()})
            self._flat = flat
            self._blocks = {}
        return self._flat

    @property
    def _layout(self) -> ParameterLayout:
        return self.layout

    def select(self, places: slice | torch.Tensor) -> FactoredGradients:
        """Keep some examples, as factors."""
        return self._with(self.factors.select(places), self.rest[places])

    def anew(self) -> FactoredGradients:
        """Return the same gradients, without the tensors that were formed of these."""
        return self._with(self.factors, self.rest)

    def _with(self, factors: LayerGradients, rest: torch.Tensor) -> FactoredGradients:
        other = object.__new__(type(self))
        other._blocks = {}
        other.layout, other.rest_layout = self.layout, self.rest_layout
        other.factors, other.rest = factors, rest
        return other
