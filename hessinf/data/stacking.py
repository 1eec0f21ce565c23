"""Examples put together into whole tensors, once, for all that looks at every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hessinf.data.columns import Columns
from hessinf.data.instance import Instance
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")

STACKED_BYTES = 1 << 28
"""Examples that are larger together are left where they are."""


def stacked(instances: Sequence[Instance]) -> Columns | None:
    """Stack examples of one shape and type.

    Parameters
    ----------
    instances
        Each is read once.

    Returns
    -------
    Columns or None
        None where there are no examples, where they differ in shape, type or device, hold anything
        but plain tensors, or are too large to be kept beside where they come from.
    """
    inputs: list[Any] = []
    targets: list[torch.Tensor] = []
    first: tuple[Any, ...] | None = None
    for instance in instances:
        tensors = _tensors(instance)
        if not all(isinstance(x, torch.Tensor) and x.layout == torch.strided for x in tensors):
            return None
        kind = _kind(instance)
        if first is None:
            first = kind
            if len(instances) * sum(tensor.nbytes for tensor in tensors) > STACKED_BYTES:
                return None
        elif kind != first:
            return None
        inputs.append(instance.inputs)
        targets.append(instance.target)
    if first is None:
        return None
    if isinstance(inputs[0], dict):
        whole = {name: torch.stack([one[name] for one in inputs]) for name in inputs[0]}
        return Columns(whole, torch.stack(targets))
    return Columns(torch.stack(inputs), torch.stack(targets))


def _tensors(instance: Instance) -> list[torch.Tensor]:
    inputs = instance.inputs
    return [*(inputs.values() if isinstance(inputs, dict) else [inputs]), instance.target]


def _kind(instance: Instance) -> tuple[Any, ...]:
    """Say what has to be the same for examples to be stacked."""
    inputs, target = instance.inputs, instance.target
    named = sorted(inputs.items()) if isinstance(inputs, dict) else [(None, inputs)]
    return (
        (target.shape, target.dtype, target.device),
        *((name, tensor.shape, tensor.dtype, tensor.device) for name, tensor in named),
    )
