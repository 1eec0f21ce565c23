"""``LayerGradients``: per-example gradients as factors, and as tensors where asked for."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Literal, Self

import torch

from hessinf.data.batching import Batch
from hessinf.gradients.layers.call import Call, Compute, Position
from hessinf.gradients.layers.example_axis import ExampleAxis
from hessinf.gradients.layers.general_route import GeneralRoute
from hessinf.gradients.layers.matrix_unit import MatrixUnit
from hessinf.gradients.layers.parameter_table import Derived, ParameterView
from hessinf.gradients.layers.plan import Plan
from hessinf.gradients.layers.usage import Usage
from hessinf.gradients.layout import ParameterLayout


class LayerGradients:
    """Gradients of K numbers of each of B examples.

    Parameters
    ----------
    plan
        What was learnt of the model.
    cotangents
        ``[K, B, ...]``: the derivatives of the K numbers in the model's outputs.
    calls
        The calls of layers, each with the gradient ``[K, *shape]`` in its output.
    derived
        Tensors made of parameters alone, that calls used.
    general
        Computes the gradients of parameters without factors.
    batch
        The examples.
    only
        An example to confine everything to.
    """

    def __init__(
        self,
        plan: Plan,
        cotangents: torch.Tensor,
        calls: Sequence[tuple[Call, torch.Tensor]],
        derived: Mapping[str, Derived],
        general: GeneralRoute,
        batch: Batch,
        only: int | None = None,
    ) -> None:
        self.plan = plan
        self.cotangents = cotangents
        self._calls = [
            (call, gradient)
            for call, gradient in calls
            if not plan.leaves(call) and call.site not in plan.silent
        ]
        self._derived = derived
        self._general = general
        self._batch = batch
        self.recorded = batch.size
        """How many examples went through the model together."""
        self._places: slice | torch.Tensor | None = None if only is None else slice(only, only + 1)

    @property
    def vectors(self) -> int:
        """K."""
        return len(self.cotangents)

    @cached_property
    def count(self) -> int:
        """B."""
        if self._places is None:
            return self.recorded
        if isinstance(self._places, slice):
            return int(self._places.stop - self._places.start)
        return len(self._places)

    @property
    def calls(self) -> Sequence[tuple[Call, torch.Tensor]]:
        """The calls that gradients are made of, each with the gradient ``[K, *shape]`` in it."""
        return self._calls

    @property
    def derived(self) -> Mapping[str, Derived]:
        """Tensors made of parameters alone, that calls used."""
        return self._derived

    @property
    def memory(self) -> int:
        """How many bytes the factors take."""
        held = {
            tensor.data_ptr(): tensor.nbytes
            for call, gradient in self._calls
            for tensor in (gradient, *call.inputs.values())
        }
        return sum(held.values())

    def bound(self) -> torch.Tensor:
        """Return a number that is finite only where every product of factors is."""
        total = self.cotangents.new_zeros(())
        for call, gradient in self._calls:
            norm = torch.linalg.vector_norm(gradient)
            for tensor in call.inputs.values():
                if tensor.is_floating_point():
                    norm = norm * torch.linalg.vector_norm(tensor)
            total = total + norm
        return total

    def select(self, places: slice | torch.Tensor) -> Self:
        """Keep some examples: nothing is copied before factors are asked for."""
        other = self._copied()
        if isinstance(places, slice) and not isinstance(self._places, torch.Tensor):
            before = 0 if self._places is None else self._places.start
            start, stop, step = places.indices(self.count)
            if step == 1:
                other._places = slice(before + start, before + max(start, stop))
                return other
        chosen = torch.arange(self.recorded)
        if self._places is not None:
            chosen = chosen[self._places]
        other._places = chosen[places]
        return other

    def without_graph(self) -> Self:
        """Keep the factors of matrices alone, and let go of everything else.

        What is left can be kept as long as one likes: no graph of activations hangs on it. It has
        no gradients of parameters outside of :attr:`Plan.units`.
        """
        other = self._copied()
        other._calls = []
        of_units = {id(call) for calls in self._by_unit.values() for call, *_ in calls}
        for call, gradient in self._calls:
            if id(call) in of_units:
                free = copy.copy(call)
                free.edge = None
                other._calls.append((free, gradient))
        other._derived = {}
        other.cotangents = self.cotangents.new_empty(self.vectors, 0)
        return other

    def _copied(self) -> Self:
        other = copy.copy(self)
        for name in ("count", "_by_unit"):
            vars(other).pop(name, None)
        return other

    def usages(self, unit: MatrixUnit) -> list[Usage]:
        """List the factors of a matrix's gradient, one :class:`Usage` for each call.

        Parameters
        ----------
        unit
            One of the capture's ``units``.

        Returns
        -------
        list of Usage
            In the order of the calls; none where this batch did not use the matrix, or no output
            depends on it.
        """
        found = []
        for call, gradient, place, has_bias in self._by_unit.get(unit, ()):
            rows, inputs = call.factors(place, gradient, self.position_of(call))
            found.append(
                Usage(
                    call.module,
                    call.gradient_side,
                    rows,
                    inputs,
                    None if unit.bias is None else float(has_bias),
                    call.space(self.recorded),
                    call.padding_idx,
                )
            )
        return found

    def positions(self, unit: MatrixUnit) -> dict[Literal["rows", "columns"], int]:
        """Count the positions in :meth:`usages`, by the side of the gradient; no factor is made."""
        found: dict[Literal["rows", "columns"], int] = {}
        for call, *_ in self._by_unit.get(unit, ()):
            side = call.gradient_side
            found[side] = found.get(side, 0) + call.positions(self.recorded)
        return found

    @cached_property
    def _by_unit(self) -> dict[MatrixUnit, list[tuple[Call, torch.Tensor, int, bool]]]:
        """The calls that used each unit, as which of their parts, and whether with a bias."""
        found = defaultdict(list)
        for call, gradient in self._calls:
            for place, part in enumerate(call.parts()):
                unit = None if part.weight is None else self.plan.unit_of.get(part.weight.region)
                if unit is not None:
                    found[unit].append((call, gradient, place, part.bias is not None))
        return dict(found)

    def position_of(self, call: Call) -> Position:
        """Say where the examples lie in what a call gave."""
        if self.recorded == 1:  # one example is everywhere: all that is not features are positions
            axis = ExampleAxis(call.example_dimensions()[0])
        else:
            axis = self.plan.axes[call.site]
        return Position(axis, self.recorded, self._places, self.cotangents.dtype)

    def materialize(self, names: Collection[str] | None = None) -> dict[str, torch.Tensor]:
        """Compute the gradients as tensors.

        Parameters
        ----------
        names
            Of parameters; all θ when None.

        Returns
        -------
        dict of str to torch.Tensor
            ``[K, B, *shape]`` by parameter name, in the order of θ. Calls of reused layers and
            of layers that share a parameter are added up.

        Raises
        ------
        KeyError
            When a name is none of θ's.
        """
        chosen = set(self.plan.shapes if names is None else names)
        if unknown := chosen - self.plan.shapes.keys():
            raise KeyError(f"not among the parameters: {', '.join(sorted(unknown))}")
        wanted = [name for name in self.plan.shapes if name in chosen]
        totals = {name: self._empty(self.plan.shapes[name]) for name in wanted}
        self.fill(totals)
        return totals

    def flatten(self, names: Collection[str] | None = None) -> torch.Tensor:
        """Compute the gradients in all θ, laid out one parameter after another: ``[K, B, P]``.

        Parameters
        ----------
        names
            Of parameters; all θ when None.
        """
        shapes = self.plan.shapes
        layout = ParameterLayout(
            shapes if names is None else {name: shapes[name] for name in shapes if name in names}
        )
        flat = self._empty(torch.Size([layout.size]))  # [K, B, P]
        self.fill(layout.unflatten(flat))
        return flat

    def fill(self, totals: Mapping[str, torch.Tensor]) -> None:
        """Write gradients into tensors ``[K, B, *shape]``, whose last dimensions are contiguous."""
        general = [name for name in totals if name in self.plan.general]
        if general:
            some = slice(None) if self._places is None else self._places
            found = self._general.pull_back(
                general, self._batch.select(some), self.cotangents[:, some]
            )
            for name in general:
                totals[name].copy_(found[name])
        covered = {name: x for name, x in totals.items() if name not in self.plan.general}
        through = {
            name: self._empty(derived.shadow.shape)
            for name, derived in self._derived.items()
            if covered.keys() & derived.leaves.keys()
        }
        targets = covered | through
        written: set[str] = set()
        for call, gradient in self._calls:
            for view, compute in call.values(targets, gradient, self.position_of(call)):
                _write(view, compute, targets[view.name], view.name not in written)
                written.add(view.name)
        for name in targets.keys() - written:
            targets[name].zero_()
        for name in [name for name in through if name in written]:
            for root, values in self._derived[name].pull_back(through[name]).items():
                if root in covered:
                    covered[root].add_(values)

    def _empty(self, shape: torch.Size) -> torch.Tensor:
        return self.cotangents.new_empty(self.vectors, self.count, *shape)


def _write(view: ParameterView, compute: Compute, total: torch.Tensor, first: bool) -> None:
    """Add a gradient to those of the whole parameter, or write it where it is the first one."""
    if first and not view.is_expanded:
        there = view.within(total)
        if there.numel() == total.numel():
            found = compute(there)
            if found is not there:
                there.copy_(found)
            return
    if first:
        total.zero_()
    view.add(compute(None), total)
