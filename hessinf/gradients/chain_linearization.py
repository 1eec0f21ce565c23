"""``ChainLinearization``: products with the Hessian of a chain of layers, by matrix products.

The directional derivative of backpropagation itself (Pearlmutter 1994), written out: where the
gradient of ``y = a Wᵀ`` is ``gᵀ a`` in W and ``g W`` in a, it changes along ``v = (V, ...)`` by
``ġᵀ a + gᵀ ȧ`` and ``ġ W + g V``, and y by ``a Vᵀ + ȧ Wᵀ``. All vectors go through the layers
together, as matrices ``[B·K, F]``; the parts of a layer of all vectors are one matrix ``[K·O, I]``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, cast

import torch

from hessinf.data.batching import Batch
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.layer_chain import Linear, Pointwise, Step, Sum, record_chain
from hessinf.gradients.linearization import Linearization
from hessinf.gradients.output_derivatives import output_derivatives
from hessinf.gradients.sides import Sides, sides_of
from hessinf.models import Objective


class ChainLinearization(Linearization):
    """The Hessian of the losses of B examples, or their Gauss-Newton matrix.

    Parameters
    ----------
    steps
        What the forward pass did; ``bend`` is ``φ''(x) · ∂ℓ/∂y``.
    gradients
        The gradient of the losses in what each linear layer gave, ``[B, O]``; None for other steps.
    output_hessian
        ``∂²ℓ/∂f²``, ``[B, C, C]``.
    whole
        Whether this is the Hessian; otherwise the Gauss-Newton matrix.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        gradients: Sequence[torch.Tensor | None],
        output_hessian: torch.Tensor,
        whole: bool,
    ) -> None:
        widths = [
            width
            for step in steps
            for width in ([*step.matrix.shape] if isinstance(step, Linear) else [])
        ]
        super().__init__(len(output_hessian), max(widths), output_hessian.device)
        self.steps = steps
        self.gradients = gradients
        self.output_hessian = output_hessian
        self.whole = whole
        sources = [place for step in steps for place in _sources(step)]
        self._uses = Counter(sources)

    def _is_needed_below(self, step: Pointwise) -> bool:
        """Whether the derivative of what a function received is used for something else."""
        return self._uses[step.source] > 1 or (self.whole and step.bend is not None)

    def _add(
        self,
        vectors: Mapping[str, torch.Tensor],
        into: Mapping[str, torch.Tensor],
        factor: float,
        examples: int,
    ) -> None:
        sides = {
            place: sides_of(self.size, vectors[step.weight], into[step.weight], factor)
            for place, step in enumerate(self.steps)
            if self.whole and isinstance(step, Linear) and step.source is not None and step.weight
        }
        for start in range(0, self.size, examples):
            part = slice(start, start + examples)
            tangents = self._forward(vectors, part)
            self._backward(sides, into, factor, part, tangents)
        for side in sides.values():
            side.finish()

    def _forward(
        self, vectors: Mapping[str, torch.Tensor], part: slice
    ) -> list[torch.Tensor | None]:
        """Return the derivatives of what each step gave, ``[B, K, F]``; None where it is zero."""
        found: list[torch.Tensor | None] = []
        for step in self.steps:
            if isinstance(step, Linear):
                found.append(_linear_tangent(step, vectors, part, _of(found, step.source)))
            elif isinstance(step, Pointwise):
                tangent = _of(found, step.source)
                slope = step.slope[part].unsqueeze(1)  # [B, 1, F]
                if tangent is None:
                    found.append(None)
                elif self._is_needed_below(step):
                    found.append(tangent * slope)
                else:
                    found.append(tangent.mul_(slope))
            else:
                there = [x for x in (_of(found, place) for place in step.sources) if x is not None]
                found.append(_sum(there) if there else None)
        return found

    def _backward(
        self,
        sides: Mapping[int, Sides],
        into: Mapping[str, torch.Tensor],
        factor: float,
        part: slice,
        tangents: list[torch.Tensor | None],
    ) -> None:
        changes: list[torch.Tensor | None] = [None] * len(self.steps)
        if tangents[-1] is not None:
            changes[-1] = torch.bmm(tangents[-1], self.output_hessian[part])  # [B, K, C]
        for place in reversed(range(len(self.steps))):
            step, change = self.steps[place], changes[place]
            changes[place] = None
            if isinstance(step, Linear):
                if change is not None:
                    _add_parameters(step, into, factor, part, change)
                if step.source is None:
                    continue
                found = None
                if change is not None:
                    flat = change.flatten(0, 1) @ step.matrix  # [B·K, I]
                    found = flat.view(*change.shape[:2], -1)  # [B, K, I]
                if place in sides:
                    gradient = self.gradients[place]
                    assert gradient is not None
                    found = sides[place].step(gradient[part], tangents[step.source], found)
                _add_to(changes, step.source, found)
            elif isinstance(step, Pointwise):
                found = None if change is None else change.mul_(step.slope[part].unsqueeze(1))
                tangent = _of(tangents, step.source)
                if self.whole and step.bend is not None and tangent is not None:
                    bent = tangent * step.bend[part].unsqueeze(1)  # [B, K, F]
                    found = bent if found is None else found.add_(bent)
                _add_to(changes, step.source, found)
            else:
                for number, source in enumerate(step.sources):
                    mine = change if number == 0 or change is None else change.clone()
                    _add_to(changes, source, mine)

    @property
    def _plan(self) -> object:
        """Say what the steps are, whatever the examples."""
        return _plan_of(self.steps)

    def _with(self, parts: Sequence[Self], join: Callable[[Any], torch.Tensor]) -> Self:
        """Make one of the tensors of all chains, joined."""
        return type(self)(
            [
                _joined_step(together, join)
                for together in zip(*(chain.steps for chain in parts), strict=True)
            ],
            [
                gradient if gradient is None else join(list(together))
                for gradient, together in zip(
                    self.gradients,
                    zip(*(chain.gradients for chain in parts), strict=True),
                    strict=True,
                )
            ],
            join([chain.output_hessian for chain in parts]),
            self.whole,
        )

    @property
    def nbytes(self) -> int:
        """What the tensors of all examples take."""
        held = [self.output_hessian, *(x for x in self.gradients if x is not None)]
        for step in self.steps:
            if isinstance(step, Linear):
                held.append(step.inputs)
            elif isinstance(step, Pointwise):
                held += [x for x in (step.slope, step.bend) if x is not None]
        return sum(tensor.nbytes for tensor in held)


def _sources(step: Step) -> tuple[int, ...]:
    if isinstance(step, Sum):
        return step.sources
    return () if step.source is None else (step.source,)


def _joined_step(together: Sequence[Step], join: Callable[[Any], torch.Tensor]) -> Step:
    first = together[0]
    if isinstance(first, Linear):
        return replace(first, inputs=join([step.inputs for step in cast("list[Linear]", together)]))
    if isinstance(first, Pointwise):
        steps = cast("list[Pointwise]", together)
        return replace(
            first,
            slope=join([step.slope for step in steps]),
            bend=None if first.bend is None else join([step.bend for step in steps]),
        )
    return first


def _plan_of(steps: Sequence[Step]) -> list[tuple[object, ...]]:
    """Say what steps do, whatever the examples."""
    return [
        (Linear, step.source, step.weight, step.bias, step.matrix.data_ptr())
        if isinstance(step, Linear)
        else (Pointwise, step.source, step.bend is None)
        if isinstance(step, Pointwise)
        else (Sum, step.sources)
        for step in steps
    ]


def _of(tangents: Sequence[torch.Tensor | None], place: int | None) -> torch.Tensor | None:
    return None if place is None else tangents[place]


def _sum(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Add up in a new tensor."""
    total = parts[0].clone()
    for part in parts[1:]:
        total.add_(part)
    return total


def _add_to(changes: list[torch.Tensor | None], place: int, found: torch.Tensor | None) -> None:
    """Add to what belongs to a step; it becomes the owner of what it is given."""
    before = changes[place]
    changes[place] = found if before is None else before if found is None else before.add_(found)


def _linear_tangent(
    step: Linear,
    vectors: Mapping[str, torch.Tensor],
    part: slice,
    tangent: torch.Tensor | None,
) -> torch.Tensor | None:
    """Differentiate ``a Wᵀ + b``: ``[B, K, O]``."""
    inputs = step.inputs[part]  # [B, I]
    bias = None if step.bias is None else vectors[step.bias]  # [K, O]
    found = None
    if step.weight is not None:
        weight = vectors[step.weight]  # [K, O, I]
        matrix = weight.flatten(0, 1).T  # [I, K·O]
        moved = inputs @ matrix if bias is None else torch.addmm(bias.flatten(), inputs, matrix)
        found = moved.view(len(inputs), *weight.shape[:2])  # [B, K, O]
    elif bias is not None:
        found = bias.expand(len(inputs), -1, -1).clone()  # [B, K, O]
    if tangent is None:
        return found
    flat = tangent.flatten(0, 1)  # [B·K, I]
    if found is None:
        return (flat @ step.matrix.T).view(*tangent.shape[:2], -1)
    found.view(len(flat), -1).addmm_(flat, step.matrix.T)
    return found


def _add_parameters(
    step: Linear,
    into: Mapping[str, torch.Tensor],
    factor: float,
    part: slice,
    change: torch.Tensor,
) -> None:
    """Add ``ġᵀ a`` for the weight, ``Σ ġ`` for the bias."""
    if step.weight is not None:
        rows = change.flatten(1).T  # [K·O, B]
        into[step.weight].flatten(0, 1).addmm_(rows, step.inputs[part], alpha=factor)
    if step.bias is not None:
        into[step.bias].add_(change.sum(dim=0), alpha=factor)


def linearize_chain(
    model: FunctionalModel, objective: Objective, batch: Batch, *, whole: bool
) -> ChainLinearization:
    """Run a batch through the model, and take what products with its curvature need.

    Parameters
    ----------
    model
        The model as a function of θ.
    objective
        The loss of every example.
    batch
        B examples.
    whole
        Whether the Hessian is wanted; the Gauss-Newton matrix otherwise.

    Raises
    ------
    NotLinearizableError
        When the model is no chain of linear layers, or has too many outputs.
    """
    steps, outputs = record_chain(model, batch.inputs)
    first, hessian = output_derivatives(objective, outputs, batch.targets)
    gradients: list[torch.Tensor | None] = [None] * len(steps)
    gradients[-1] = first
    kept: list[Step] = []
    for place in reversed(range(len(steps))):
        step, gradient = steps[place], gradients[place]
        if not whole or gradient is None:
            kept.append(replace(step, bend=None) if isinstance(step, Pointwise) else step)
        elif isinstance(step, Linear):
            kept.append(step)
            if step.source is not None:
                _add_to(gradients, step.source, gradient @ step.matrix)
        elif isinstance(step, Pointwise):
            bend = None if step.bend is None else step.bend * gradient
            kept.append(replace(step, bend=bend))
            _add_to(gradients, step.source, gradient * step.slope)
        else:
            kept.append(step)
            for source in step.sources:
                _add_to(gradients, source, gradient.clone())
    needed = [
        gradient if whole and isinstance(step, Linear) else None
        for gradient, step in zip(gradients, steps, strict=True)
    ]
    return ChainLinearization(kept[::-1], needed, hessian, whole)
