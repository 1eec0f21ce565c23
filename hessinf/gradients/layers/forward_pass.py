"""``ForwardPass``: a forward pass whose layers can be asked for the gradients in their outputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hessinf.data.batching import Batch
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.layers.call import Call
from hessinf.gradients.layers.call_recorder import CallRecorder
from hessinf.gradients.layers.parameter_table import Derived, ParameterTable
from hessinf.gradients.layers.vectorized_gradients import vectorized_gradients


@dataclass(frozen=True)
class PulledBack:
    """Gradients of K numbers in the outputs of calls.

    Parameters
    ----------
    calls
        Those that have an effect on the numbers, each with its gradient ``[K, *shape]``.
    woken
        The parameters that were said to have no effect, and have one.
    """

    calls: Sequence[tuple[Call, torch.Tensor]]
    woken: Sequence[str]


@dataclass(frozen=True)
class ForwardPass:
    """What a forward pass left.

    Parameters
    ----------
    outputs
        ``[B, ...]``, with the graph of activations.
    calls
        Of known functions with parameters, in their order.
    used
        The parameters that any function has received.
    left
        Those that a function received which is not known, and that function's name.
    derived
        Tensors made of parameters alone, by the names that views in ``calls`` give them.
    watched
        Leaves in place of the parameters that are said to have no effect.
    written
        The buffers that were written into.
    """

    outputs: torch.Tensor
    calls: Sequence[Call]
    used: Collection[str]
    left: Mapping[str, str]
    derived: Mapping[str, Derived]
    watched: Mapping[str, torch.Tensor]
    written: Sequence[str] = ()

    def pull_back(self, cotangents: torch.Tensor, *, keep_graph: bool = True) -> PulledBack:
        """Differentiate in the outputs of the calls.

        Parameters
        ----------
        cotangents
            ``[K, *outputs.shape]``.
        keep_graph
            Whether the graph is used again; activations are let go on the way, if not.
        """
        targets: list[Any] = [call.edge for call in self.calls]
        targets += self.watched.values()
        if not targets or not self.outputs.requires_grad:
            return PulledBack([], [])
        found = vectorized_gradients(self.outputs, targets, cotangents, keep_graph=keep_graph)
        return PulledBack(
            [
                (call, gradient.reshape(len(gradient), *call.shape))
                for call, gradient in zip(self.calls, found, strict=False)
                if gradient is not None
            ],
            [
                name
                for name, gradient in zip(self.watched, found[len(self.calls) :], strict=True)
                if gradient is not None
            ],
        )


def run_forward(
    model: FunctionalModel,
    batch: Batch,
    *,
    shared: Collection[str] = (),
    idle: Collection[str] = (),
) -> ForwardPass:
    """Run a model on a batch, and keep what its layers receive.

    Parameters
    ----------
    model
        The model as a function of θ.
    batch
        B examples.
    shared
        The sites of calls whose output is the same for all examples.
    idle
        Parameters that no function has received so far. Should one of them have an effect all the
        same, in a function that cannot be seen, :meth:`ForwardPass.pull_back` tells.
    """
    watched = {name: model.parameters[name].detach().requires_grad_() for name in idle}
    table = ParameterTable({**model.parameters, **watched}, model.slots)
    recorder = CallRecorder(table, model.constants.values(), shared)
    versions = {name: value._version for name, value in model.constants.items()}
    with torch.enable_grad(), recorder:
        outputs = model.outputs_at(table.slots, detached(batch.inputs))
    places = {model.slots[slot]: tensor for slot, tensor in table.slots.items()}
    return ForwardPass(
        outputs,
        recorder.calls,
        recorder.used,
        recorder.left,
        table.derived,
        {name: places[name] for name in idle},
        [name for name, value in model.constants.items() if value._version != versions[name]],
    )


def detached(inputs: Any) -> Any:
    """Take inputs out of the graph that they may be part of."""
    if isinstance(inputs, dict):
        return {name: tensor.detach() for name, tensor in inputs.items()}
    return inputs.detach()
