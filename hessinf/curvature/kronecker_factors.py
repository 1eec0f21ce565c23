"""Second moments of the two sides of layers: the factors of K-FAC (Martens & Grosse, ICML 2015).

The gradient of a matrix of parameters, for one example and one column of the Fisher, is a sum over
positions of outer products: of a gradient in the layer's outputs with the layer's input. K-FAC
takes both sides, and positions, for independent:

    F  ≈  (1/N Σ_n Σ_k Σ_s g gᵀ) ⊗ (1/T Σ_n Σ_s a aᵀ)

over N examples, columns k and T positions. All positions of an example count, also those where the
layer has no gradient, but for padding: :mod:`hessinf.curvature.counted_positions` says what that
is. So much for "expand"; with "reduce", an example's positions are added up in ``g`` and averaged
in ``a`` first (Eschenhagen et al., NeurIPS 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from hessinf.curvature.counted_positions import CalledAt, CountedPositions
from hessinf.curvature.fisher_finite import require_finite_examples
from hessinf.curvature.symmetric_product import SymmetricSum
from hessinf.gradients.layers import LayerGradients, MatrixUnit, Usage

WeightSharing = Literal["expand", "reduce"]
"""What is done with several positions of one example."""


def by_module(gradients: LayerGradients, unit: MatrixUnit) -> dict[str, list[Usage]]:
    """Group the usages of a unit: those of one module are further positions of each other."""
    groups: dict[str, list[Usage]] = {}
    for usage in gradients.usages(unit):
        groups.setdefault(usage.module, []).append(usage)
    return groups


def gradient_side(usages: Sequence[Usage]) -> torch.Tensor:
    """Return the side with the columns of the Fisher, all positions: ``[K, B, S, D]``."""
    parts = [usage.gradient for usage in usages]
    return wide(parts[0] if len(parts) == 1 else torch.cat(parts, dim=2))


def input_side(usages: Sequence[Usage]) -> torch.Tensor:
    """Return the other side, all positions: ``[B, S, D]``, or whole numbers ``[B, S]``."""
    parts = [usage.columns if usage.gradient_side == "rows" else usage.rows for usage in usages]
    return wide(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """Return half precision as float32: products of it are added up."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


@dataclass(frozen=True)
class ModuleSums:
    """What one module adds up to.

    Parameters
    ----------
    gradients
        ``Σ_n Σ_k Σ_s g gᵀ``, ``[D, D]``.
    inputs
        ``Σ_n Σ_s a aᵀ``, ``[D, D]``; its diagonal ``[V]`` where ids stand for unit vectors.
    count
        T, how many positions (with "reduce": examples) the latter has.
    """

    gradients: torch.Tensor
    inputs: torch.Tensor
    count: int

    def __add__(self, other: ModuleSums) -> ModuleSums:
        return ModuleSums(
            self.gradients + other.gradients, self.inputs + other.inputs, self.count + other.count
        )


@dataclass(frozen=True)
class UnitSums:
    """What the modules that use one matrix add up to, by module.

    Which modules are called may differ from batch to batch.
    """

    modules: dict[str, ModuleSums]

    def __add__(self, other: UnitSums) -> UnitSums:
        total = dict(self.modules)
        for module, sums in other.modules.items():
            total[module] = total[module] + sums if module in total else sums
        return UnitSums(total)


def require_finite_sides(unit: MatrixUnit, usages: Sequence[Usage]) -> None:
    """Raise where the gradients or the inputs of an example are not finite.

    Raises
    ------
    NotFiniteError
        Which says what it is.
    """
    finite = gradient_side(usages).isfinite().all(dim=3).all(dim=2).all(dim=0)  # [B]
    require_finite_examples(f'the gradient of "{unit.name}" is', finite)
    inputs = input_side(usages)  # [B, S, D] or [B, S]
    require_finite_examples(
        f'the input of "{unit.name}" is', inputs.isfinite().flatten(1).all(dim=1)
    )


def gradient_traces(gradients: LayerGradients, units: Sequence[MatrixUnit]) -> list[torch.Tensor]:
    """Compute ``Σ_s ‖g‖²`` by unit, ``[K, B]``: what each column adds to the trace of a factor."""
    traces = []
    for unit in units:
        trace = gradients.cotangents.new_zeros(gradients.vectors, gradients.count)  # [K, B]
        for usage in gradients.usages(unit):
            norms = torch.linalg.vector_norm(gradient_side([usage]), dim=(2, 3))  # [K, B]
            trace = trace + norms.square()
        traces.append(trace)
    return traces


class FactorSums:
    """The second moments of units over one batch, by unit and module.

    Parameters
    ----------
    units
        Which matrices of parameters.
    weight_sharing
        What is done with several positions.
    """

    def __init__(self, units: Sequence[MatrixUnit], weight_sharing: WeightSharing) -> None:
        self.units = units
        self.weight_sharing = weight_sharing
        self._gradients: dict[Member, SymmetricSum] = {}
        self._inputs: dict[tuple[Member, ...], SymmetricSum | IdCounts] = {}
        """By those whose inputs are the same: their moments are computed once."""
        self._here: dict[Member, _Inputs] = {}
        """What the examples that are worked on now have for inputs."""
        self._positions = CountedPositions()

    def add(self, gradients: LayerGradients) -> list[torch.Tensor]:
        """Take in K columns; return by unit the trace that each adds, ``[K, B]``."""
        traces = []
        for place, unit in enumerate(self.units):
            trace = gradients.cotangents.new_zeros(gradients.vectors, gradients.count)  # [K, B]
            for module, usages in by_module(gradients, unit).items():
                trace = trace + self._add(place, module, usages)
            traces.append(trace)
        return traces

    def _add(self, place: int, module: str, usages: Sequence[Usage]) -> torch.Tensor:
        """Take in K columns of one module; return their traces."""
        member = (place, module)
        sides = gradient_side(usages)  # [K, B, S, D]
        calls = [self._positions.add(usage) for usage in usages]
        if self.weight_sharing == "reduce" and usages[0].gradient_side == "rows":
            sides = sides.sum(dim=2, keepdim=True)  # [K, B, 1, D]
        sums = self._gradients.setdefault(member, SymmetricSum())
        sums.add(sides.flatten(0, 2))  # [K·B·S, D]
        norms = torch.linalg.vector_norm(sides, dim=(2, 3))  # [K, B]
        finite = norms.isfinite().all(dim=0)  # [B]
        known = self._here.get(member)
        if known is None:
            self._here[member] = _Inputs(usages, calls, finite)
        else:
            known.finite &= finite
        traces: torch.Tensor = norms.square()
        return traces

    def end_examples(self) -> None:
        """Learn that all columns of the examples were there: take in their inputs."""
        shared: dict[Any, list[Member]] = {}
        for member, here in self._here.items():
            shared.setdefault(here.identity, []).append(member)
        checks = [here.finite.all() for here in self._here.values()]
        for members in shared.values():
            here = self._here[members[0]]
            known = self._inputs.get(tuple(members))
            if known is None:
                known = self._inputs[tuple(members)] = here.sums(
                    self.units[members[0][0]].out_features
                )
            here.add_to(known, self._positions, self.weight_sharing)
            checks.append(known.trace.isfinite())
        if checks and not bool(torch.stack(checks).all()):
            self._require_finite()
        self._here = {}
        self._positions = CountedPositions()

    def _require_finite(self) -> None:
        """Say of which example something is not finite."""
        for (place, _), here in self._here.items():
            name = self.units[place].name
            require_finite_examples(f'the gradient of "{name}" is', here.finite)
            require_finite_examples(
                f'the input of "{name}" is', here.finite_examples(self._positions)
            )

    def result(self) -> list[UnitSums]:
        """Return the sums by unit."""
        inputs: dict[Member, tuple[torch.Tensor, int]] = {}
        for members, sums in self._inputs.items():
            moment = sums.result()  # [D, D] or [V]
            for member in members:
                before, count = inputs.get(member, (None, 0))
                both = moment if before is None else before + moment
                inputs[member] = (both, count + sums.count)
        found: list[dict[str, ModuleSums]] = [{} for _ in self.units]
        for (place, module), gradients in self._gradients.items():
            found[place][module] = ModuleSums(gradients.result(), *inputs[place, module])
        return [UnitSums(modules) for modules in found]


Member = tuple[int, str]
"""A unit, by its place, and one of the modules that use it."""


class IdCounts:
    """How often each id occurred: ids stand for unit vectors, so that the moment is diagonal.

    Parameters
    ----------
    size
        V, how many ids there are.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.count = 0
        self._total: torch.Tensor | None = None

    def add(self, ids: torch.Tensor) -> None:
        """Take in ids ``[T]``."""
        counts = torch.bincount(ids, minlength=self.size).double()  # [V]
        self._total = counts if self._total is None else self._total + counts
        self.count += len(ids)

    @property
    def trace(self) -> torch.Tensor:
        """A number that is always finite."""
        return self.result()[0]

    def result(self) -> torch.Tensor:
        """Return the diagonal, ``[V]``, float64."""
        assert self._total is not None
        return self._total


class _Inputs:
    """The inputs of one module at a few examples, and whether their gradients are finite."""

    def __init__(
        self, usages: Sequence[Usage], calls: Sequence[CalledAt], finite: torch.Tensor
    ) -> None:
        self.calls = calls
        self.finite = finite
        first = usages[0]
        constants = {usage.bias_column for usage in usages}
        self.constant: float | None = None
        if first.gradient_side == "rows" and len(constants) == 1:
            # The bias's column is the same everywhere: it needs no place beside the others.
            self.constant = first.bias_column
            parts = [usage.inputs for usage in usages]
            self.values = wide(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))
        else:
            self.values = input_side(usages)  # [B, S, D], or ids [B, S]

    @property
    def identity(self) -> Any:
        """What is the same for inputs that are the same, and count at the same positions."""
        values = self.values
        skips = tuple(call if call.skipped is not None else None for call in self.calls)
        kinds = tuple((call.number, call.space) for call in self.calls)
        layout = (values.data_ptr(), values.shape, values.stride(), values.dtype)
        return (*layout, self.constant, kinds, tuple(map(id, skips)))

    def sums(self, rows: int) -> SymmetricSum | IdCounts:
        """Make an empty sum for such inputs."""
        if self.values.is_floating_point():
            return SymmetricSum(self.constant)
        return IdCounts(rows)

    def add_to(
        self,
        sums: SymmetricSum | IdCounts,
        positions: CountedPositions,
        weight_sharing: WeightSharing,
    ) -> None:
        """Add the inputs at positions that count."""
        values = self.values  # [B, S, D], or ids [B, S]
        counted = None if positions.all_count(self.calls) else positions.of(self.calls, values)
        # Averaging ids over positions would give up that their moment is diagonal: they are taken
        # as in "expand" either way.
        if weight_sharing == "reduce" and values.is_floating_point():
            sums.add(_means(values, counted))
        else:
            sums.add(values.flatten(0, 1) if counted is None else values[counted])  # [T, D]

    def finite_examples(self, positions: CountedPositions) -> torch.Tensor:
        """Say for which examples the inputs that count are finite: ``[B]``."""
        finite = self.values.isfinite()  # [B, S, D] or [B, S]
        finite = finite.all(dim=2) if finite.ndim == 3 else finite
        return (finite | ~positions.of(self.calls, self.values)).all(dim=1)


def _means(values: torch.Tensor, counted: torch.Tensor | None) -> torch.Tensor:
    """Average ``[B, S, D]`` over the positions that count, where there are any: ``[B', D]``."""
    if counted is None:
        return values.mean(dim=1)
    number = counted.sum(dim=1)  # [B]
    kept = number > 0  # [B]
    own = torch.where(counted[..., None], values, 0.0)  # [B, S, D]
    return own.sum(dim=1)[kept] / number[kept, None]
