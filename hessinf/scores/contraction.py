"""``InnerProducts``: scores of training examples, as inner products with factors of queries."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property

import torch

from hessinf.gradients import FactoredGradients, Gradients
from hessinf.gradients.layers import MatrixUnit
from hessinf.scores.cost_model import NOTHING, Cost, Strategy, product
from hessinf.scores.matrix_products import MatrixProducts
from hessinf.scores.pair_products import PairProducts, pair_shapes
from hessinf.scores.parameter_products import ParameterProducts
from hessinf.scores.planner import Choice, prefers_pairs
from hessinf.scores.precision import ScorePrecision, add_product, products_in, shortened
from hessinf.scores.workspace import Workspace

FEWEST_FLOPS = 5e8
"""Less work is not worth the kernels that are made for it first, one for each shape."""

MANY_UNITS = 8
"""Parameters that more matrices than this share are formed as a whole."""


class InnerProducts:
    """Multiplies what was prepared of Q queries with the gradients of training examples.

    Where those come as factors (:class:`hessinf.gradients.FactoredGradients`), gradients are formed
    in tiles that stay in a cache, or not at all: for each matrix of parameters the way is taken
    that costs least, by shapes alone. :meth:`plan` says which.

    Parameters
    ----------
    factors
        Of Q queries: tensors, or factors.
    precision
        What products are computed in.
    strategy
        The one way to go wherever it is possible; None to choose.
    """

    def __init__(
        self,
        factors: Gradients,
        *,
        precision: ScorePrecision = "model",
        strategy: Strategy | None = None,
    ) -> None:
        self.factors = factors
        self.precision: ScorePrecision = precision
        self.strategy = strategy
        self._workspace = Workspace()
        self._pairs: dict[MatrixUnit, PairProducts] = {}
        self._matrices: dict[MatrixUnit, MatrixProducts] = {}
        self._parameters: dict[tuple[str, ...], ParameterProducts] = {}
        self._rest: tuple[tuple[str, ...], torch.Tensor] | None = None

    def __call__(self, gradients: Gradients) -> torch.Tensor:
        """Score B training examples: ``[Q, B]``."""
        if not isinstance(gradients, FactoredGradients):
            flat = gradients.flatten()  # [B, P]
            total = flat.new_zeros(self.factors.count, len(flat))  # [Q, B]
            with self._products(2.0 * total.numel() * flat.shape[1], flat.device):
                add_product(total, self._flat, shortened(flat, self.precision).T)
            return total
        total = gradients.rest.new_zeros(self.factors.count, gradients.count)  # [Q, B]
        with self._products(sum(one.cost.flops for one in self.plan(gradients)), total.device):
            if gradients.rest_names:
                rest = shortened(gradients.rest, self.precision)  # [B, R]
                add_product(total, self._rest_of(gradients.rest_names), rest.T)
            many, units = _shared(gradients)
            if many:
                self._of_parameters(many).add_to(total, gradients)
            for unit in units:
                if self._takes_pairs(gradients, unit)[0]:
                    self._pairs_of(unit).add_to(total, gradients, unit)
                else:
                    self._matrices_of(unit).add_to(total, gradients, unit)
        return total

    def _products(self, flops: float, device: torch.device) -> AbstractContextManager[None]:
        """Set how matrices are multiplied, where there is work enough to prepare for it."""
        if self.precision == "model" and flops < FEWEST_FLOPS:
            return nullcontext()
        return products_in(self.precision, device)

    def plan(self, gradients: Gradients) -> list[Choice]:
        """Say how B training examples are scored, and what that was predicted to take.

        Parameters
        ----------
        gradients
            Of the examples.

        Returns
        -------
        list of Choice
            For each matrix of parameters, and for what is in none ("rest").
        """
        queries, count = self.factors.count, gradients.count
        if not isinstance(gradients, FactoredGradients):
            flat = gradients.flatten()  # [B, P]
            cost = product(queries, flat.shape[1], count, flat.element_size())
            return [Choice("all", "whole", cost)]
        found = []
        size = gradients.rest.element_size()
        if gradients.rest_names:
            cost = product(queries, gradients.rest.shape[1], count, size)
            found.append(Choice("rest", "whole", cost))
        many, units = _shared(gradients)
        if many:
            numbers = sum(gradients.layout.shapes[name].numel() for name in many)
            cost = product(queries, numbers, count, size)
            found.append(Choice(", ".join(many), "formed", cost))
        for unit in units:
            pairs, cost = self._takes_pairs(gradients, unit)
            if pairs:
                found.append(Choice(unit.name, "pairs", cost))
            else:
                found += self._matrices_of(unit).plan(gradients, unit)
        return found

    @cached_property
    def _flat(self) -> torch.Tensor:
        return shortened(self.factors.flatten(), self.precision)  # [Q, P]

    def _rest_of(self, names: tuple[str, ...]) -> torch.Tensor:
        """Return what queries have in the parameters that are in no matrix, ``[Q, R]``."""
        if self._rest is None or self._rest[0] != names:
            if isinstance(self.factors, FactoredGradients) and self.factors.rest_names == names:
                rest = self.factors.rest
            else:
                count = self.factors.count
                parts = [self.factors[name].reshape(count, -1) for name in names]
                rest = torch.cat(parts, dim=1)
            self._rest = names, shortened(rest, self.precision)
        return self._rest[1]

    def _takes_pairs(self, gradients: FactoredGradients, unit: MatrixUnit) -> tuple[bool, Cost]:
        """Decide between pairs of factors and the queries' matrices."""
        if not isinstance(self.factors, FactoredGradients) or unit not in self.factors.units:
            return False, NOTHING
        size = gradients.rest.element_size()
        shapes = pair_shapes(gradients, unit, self.factors.count, size)
        return prefers_pairs(self._pairs_of(unit).factors, shapes, self.strategy)

    def _pairs_of(self, unit: MatrixUnit) -> PairProducts:
        if unit not in self._pairs:
            assert isinstance(self.factors, FactoredGradients)
            self._pairs[unit] = PairProducts(
                self.factors.usages(unit), precision=self.precision, workspace=self._workspace
            )
        return self._pairs[unit]

    def _matrices_of(self, unit: MatrixUnit) -> MatrixProducts:
        if unit not in self._matrices:
            self._matrices[unit] = MatrixProducts(
                unit.weight_matrix(self.factors),
                unit.bias_vector(self.factors),
                name=unit.name,
                strategy=self.strategy,
                precision=self.precision,
                workspace=self._workspace,
            )
        return self._matrices[unit]

    def _of_parameters(self, names: tuple[str, ...]) -> ParameterProducts:
        if names not in self._parameters:
            self._parameters[names] = ParameterProducts(self.factors, names, self.precision)
        return self._parameters[names]


def _shared(gradients: FactoredGradients) -> tuple[tuple[str, ...], list[MatrixUnit]]:
    """Tell parameters that many matrices share from matrices to be treated one by one."""
    units = gradients.units
    counts = Counter(unit.weight for unit in units)
    many = [unit for unit in units if counts[unit.weight] > MANY_UNITS]
    names = {name for unit in many for name in unit.parameters}
    ordered = tuple(name for name in gradients.layout.shapes if name in names)
    return ordered, [unit for unit in units if counts[unit.weight] <= MANY_UNITS]
