"""Second derivatives of losses in what layers give, instead of in parameters.

Zeros t that are added to the outputs ``y = W a + b`` of layers ("taps") say all of the Hessian in
the layers' parameters: a change of ``W[p, j]`` is one of ``t[p]`` by ``a[j]``, and differentiating
``∂ℓ/∂W = g aᵀ`` gives, for a layer and one after it,

    ∂²ℓ / ∂W[o, i] ∂W'[p, j] = a[i] a'[j] ∂²ℓ/∂t[o]∂t'[p] + a[i] g'[p] ∂a'[j]/∂t[o]

with ``g' = ∂ℓ/∂t'``. The taps of all layers are far fewer than their parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hessinf.data.batching import Batch
from hessinf.gradients import FunctionalModel
from hessinf.gradients.layers.call import Call, Position
from hessinf.gradients.layers.call_recorder import CallRecorder
from hessinf.gradients.layers.example_axis import ExampleAxis
from hessinf.gradients.layers.forward_pass import detached
from hessinf.gradients.layers.linear import LinearCall
from hessinf.gradients.layers.matrix_unit import MatrixUnit
from hessinf.gradients.layers.parameter_table import ParameterTable
from hessinf.gradients.layers.plan import Plan
from hessinf.gradients.layers.tensors_among import tensors_among
from hessinf.gradients.pull_back import pull_back_together
from hessinf.models import Objective

NUMBERS_AT_ONCE = 1 << 21
"""How many numbers of activations go back together, about: what a CPU's cache holds."""


class UnseenCallError(Exception):
    """A forward pass did what was not learnt yet of the model's layers."""


class TapRecorder(CallRecorder):
    """Keeps, beside the calls, what linear layers receive, with the graph behind it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.received: dict[Call, torch.Tensor] = {}

    def _read(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Call | None:
        call = super()._read(function, args, kwargs)
        if isinstance(call, LinearCall):
            inputs = call.inputs["input"]
            for value in tensors_among((args, kwargs)):
                if value.data_ptr() == inputs.data_ptr() and value.shape == inputs.shape:
                    self.received[call] = value.clone()  # activations may write into it
                    break
        return call


@dataclass(frozen=True, eq=False)
class Tap:
    """One call of a linear layer, at one position of each of B examples.

    Parameters
    ----------
    unit
        The layer's matrix.
    call
        The call.
    position
        Where examples lie in what it gives.
    received
        Its input, with a graph.
    inputs
        The same as numbers, ``[B, I]``: the bias's column too.
    gradients
        Of the summed losses in what it gives, with a graph, in the call's shape.
    """

    unit: MatrixUnit
    call: Call
    position: Position
    received: torch.Tensor
    inputs: torch.Tensor
    gradients: torch.Tensor

    @property
    def gradient_rows(self) -> torch.Tensor:
        """The gradients as numbers, ``[B, O]``."""
        return self.position.to_rows(self.gradients.detach())[:, 0]


class TappedPass:
    """A forward pass of B examples with taps, to be differentiated twice.

    Parameters
    ----------
    model
        The model as a function of θ.
    objective
        The loss of every example.
    batch
        B examples.
    plan
        What was learnt of the model.
    barred
        Matrices that get no taps.

    Raises
    ------
    UnseenCallError
        When the pass did something that the plan does not know.
    """

    def __init__(
        self,
        model: FunctionalModel,
        objective: Objective,
        batch: Batch,
        plan: Plan,
        barred: Collection[MatrixUnit],
    ) -> None:
        self.count = batch.size
        table = ParameterTable(model.parameters, model.slots)
        recorder = TapRecorder(table, model.constants.values(), plan.shared)
        with torch.enable_grad():
            with recorder:
                outputs = model.outputs_at(table.slots, detached(batch.inputs))
            total_loss = objective.losses(outputs, batch.targets).sum()
        if plan.surprises(recorder.calls, recorder.left, batch.size):
            raise UnseenCallError
        self.several: set[MatrixUnit] = set()
        """Matrices that were used otherwise than by linear layers at one position."""
        found = [
            (unit, call)
            for call in recorder.calls
            if call.site not in plan.silent and not plan.leaves(call)
            for part in call.parts()
            if part.weight is not None
            and (unit := plan.unit_of.get(part.weight.region)) is not None
        ]
        for unit, call in found:
            if call not in recorder.received or call.shape[:-1].numel() != batch.size:
                self.several.add(unit)
        chosen = [
            (unit, call) for unit, call in found if unit not in barred and unit not in self.several
        ]
        edges: list[Any] = [call.edge for _, call in chosen]
        gradients: Sequence[torch.Tensor | None] = [None] * len(edges)
        if edges and total_loss.requires_grad:
            gradients = torch.autograd.grad(total_loss, edges, create_graph=True, allow_unused=True)
        self.taps: tuple[Tap, ...] = tuple(
            self._tap(unit, call, plan, recorder.received[call], gradient, model.dtype)
            for (unit, call), gradient in zip(chosen, gradients, strict=True)
            if gradient is not None
        )
        """In the order of the calls."""

    def _tap(
        self,
        unit: MatrixUnit,
        call: Call,
        plan: Plan,
        received: torch.Tensor,
        gradient: torch.Tensor,
        dtype: torch.dtype,
    ) -> Tap:
        axis = ExampleAxis(call.example_dimensions()[0])
        if self.count > 1:
            axis = plan.axes[call.site]
        position = Position(axis, self.count, dtype=dtype)
        inputs = position.to_rows(received.detach())[:, 0]  # [B, I]
        if unit.bias is not None:
            has_bias = call.parts()[0].bias is not None
            inputs = torch.cat([inputs, inputs.new_full((self.count, 1), float(has_bias))], dim=1)
        return Tap(unit, call, position, received, inputs, gradient.reshape(call.shape))

    def curvature(self, place: int, others: Sequence[int]) -> list[torch.Tensor | None]:
        """Differentiate the gradients of one tap again.

        Parameters
        ----------
        place
            Of the tap.
        others
            The places of some taps.

        Returns
        -------
        list of torch.Tensor or None
            ``∂²ℓ/∂t[o]∂t'[p]``, ``[B, O, O']``, for each of the others; None where it is zero.
        """
        return self._pulled(self.taps[place].gradients, others)

    def slopes(self, place: int, others: Sequence[int]) -> list[torch.Tensor | None]:
        """Differentiate what the layer of one tap receives.

        Parameters
        ----------
        place
            Of the tap.
        others
            The places of some taps before it.

        Returns
        -------
        list of torch.Tensor or None
            ``∂a[j]/∂t[o]``, ``[B, O, I]``, for each of the others, zero in the bias's column; None
            where it is zero throughout.
        """
        tap = self.taps[place]
        bias = tap.inputs.shape[1] - tap.received.shape[-1]
        return [
            None
            if one is None
            else torch.nn.functional.pad(one.transpose(1, 2), (0, bias)).contiguous()
            for one in self._pulled(tap.received, others)  # [B, I'', O]
        ]

    def _pulled(self, values: torch.Tensor, others: Sequence[int]) -> list[torch.Tensor | None]:
        """Pull each feature of a tensor ``[..., F]`` back to taps: ``[B, F, O]``."""
        taps = [self.taps[place] for place in others]
        if not values.requires_grad or not taps:
            return [None] * len(taps)
        found: list[torch.Tensor | None] = [None] * len(taps)
        edges = [tap.call.edge for tap in taps]
        for start, cotangents in self._units(values):
            pulled = pull_back_together([values], edges, [cotangents])
            for place, (tap, one) in enumerate(zip(taps, pulled, strict=True)):
                if one is None:
                    continue
                rows = tap.position.to_rows(one.reshape(-1, *tap.call.shape), 1)[:, :, 0]
                whole = found[place]
                if whole is None:
                    shape = (self.count, values.shape[-1], rows.shape[2])
                    found[place] = whole = rows.new_zeros(shape)  # [B, F, O]
                whole[:, start : start + len(rows)] = rows.transpose(0, 1)
        return found

    def _units(self, values: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
        """Make cotangents that pick features, one after another for all examples."""
        features = values.shape[-1]
        widths = sum(tap.call.shape[-1] for tap in self.taps)
        at_once = max(NUMBERS_AT_ONCE // (self.count * widths), 1)
        eye = torch.eye(features, dtype=values.dtype, device=values.device)
        for start in range(0, features, at_once):
            some = eye[start : start + at_once]  # [K, F]
            lead = (1,) * (values.ndim - 1)
            yield start, some.view(len(some), *lead, features).expand(-1, *values.shape)
