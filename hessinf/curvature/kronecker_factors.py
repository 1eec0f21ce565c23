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
from typing import Literal

import torch

from hessinf.curvature.counted_positions import CalledAt, CountedPositions
from hessinf.curvature.fisher_finite import require_finite_examples
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
    return _wide(parts[0] if len(parts) == 1 else torch.cat(parts, dim=2))


def input_side(usages: Sequence[Usage]) -> torch.Tensor:
    """Return the other side, all positions: ``[B, S, D]``, or whole numbers ``[B, S]``."""
    parts = [usage.columns if usage.gradient_side == "rows" else usage.rows for usage in usages]
    return _wide(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))


def _wide(tensor: torch.Tensor) -> torch.Tensor:
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
            trace = trace + gradient_side([usage]).square().sum(dim=(2, 3))
        traces.append(trace)
    return traces


class _Moments:
    """The second moments of one module's two sides, over one batch."""

    def __init__(self, weight_sharing: WeightSharing) -> None:
        self.weight_sharing = weight_sharing
        self.moment: torch.Tensor | None = None
        self.inputs: torch.Tensor | None = None
        self.calls: Sequence[CalledAt] = ()
        self.finite: torch.Tensor | None = None

    def add(self, usages: Sequence[Usage], positions: CountedPositions) -> torch.Tensor:
        """Take in K columns; return the trace that each adds for each example, ``[K, B]``."""
        gradients = gradient_side(usages)  # [K, B, S, D]
        self.inputs = input_side(usages)  # [B, S, D] or [B, S]
        self.calls = [positions.add(usage) for usage in usages]
        if self.weight_sharing == "reduce" and self.inputs.is_floating_point():
            gradients = gradients.sum(dim=2, keepdim=True)  # [K, B, 1, D]
        flat = gradients.flatten(0, 2)  # [K·B·S, D]
        moment = (flat.T @ flat).double()  # [D, D]
        self.moment = moment if self.moment is None else self.moment.add_(moment)
        traces = gradients.square().sum(dim=(2, 3))  # [K, B]
        finite = traces.isfinite().all(dim=0)  # [B]
        self.finite = finite if self.finite is None else self.finite & finite
        return traces

    def result(self, unit: MatrixUnit, positions: CountedPositions) -> ModuleSums:
        """Return the sums, once all units have taken in all columns."""
        assert self.inputs is not None
        assert self.moment is not None
        assert self.finite is not None
        require_finite_examples(f'the gradient of "{unit.name}" is', self.finite)
        inputs = self.inputs  # [B, S, D] or [B, S]
        counted = positions.of(self.calls, inputs)  # [B, S]
        if not inputs.is_floating_point():
            # Ids stand for unit vectors, so that their second moment is diagonal. Averaging over
            # positions first would give that up: they are taken as in "expand" either way.
            ids = inputs[counted]  # [T]
            counts = torch.bincount(ids, minlength=unit.out_features).double()  # [V]
            return ModuleSums(self.moment, counts, len(ids))
        whole = bool(counted.all())
        if self.weight_sharing == "reduce":
            number = counted.sum(dim=1)  # [B]
            kept = number > 0  # [B]
            own = inputs if whole else torch.where(counted[..., None], inputs, 0.0)  # [B, S, D]
            flat = own.sum(dim=1)[kept] / number[kept, None]  # [B', D]
        else:
            flat = inputs.flatten(0, 1) if whole else inputs[counted]  # [T, D]
        moment = (flat.T @ flat).double()  # [D, D]
        if not bool(moment.isfinite().all()):
            finite = (inputs.isfinite().all(dim=2) | ~counted).all(dim=1)  # [B]
            require_finite_examples(f'the input of "{unit.name}" is', finite)
        return ModuleSums(self.moment, moment, len(flat))


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
        self.moments: list[dict[str, _Moments]] = [{} for _ in units]
        self.positions = CountedPositions()

    def add(self, gradients: LayerGradients) -> list[torch.Tensor]:
        """Take in K columns; return by unit the trace that each adds, ``[K, B]``."""
        traces = []
        for unit, known in zip(self.units, self.moments, strict=True):
            trace = gradients.cotangents.new_zeros(gradients.vectors, gradients.count)  # [K, B]
            for module, usages in by_module(gradients, unit).items():
                moments = known.setdefault(module, _Moments(self.weight_sharing))
                trace = trace + moments.add(usages, self.positions)
            traces.append(trace)
        return traces

    def result(self) -> list[UnitSums]:
        """Return the sums by unit."""
        return [
            UnitSums(
                {module: moments.result(unit, self.positions) for module, moments in known.items()}
            )
            for unit, known in zip(self.units, self.moments, strict=True)
        ]
