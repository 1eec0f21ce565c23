"""How much a model keeps for one example, so that batches can be planned to fit."""

from __future__ import annotations

import torch

from hessinf.data.batching import Batch
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.models import Objective


def activation_bytes(model: FunctionalModel, objective: Objective, batch: Batch) -> int:
    """Count the bytes that a forward pass keeps for the backward pass, for one example.

    Parameters
    ----------
    model
        The model, in evaluation mode.
    objective
        The loss of every example.
    batch
        Its first example is used.

    Returns
    -------
    int
        Without the parameters themselves.
    """
    one = batch.select(slice(0, 1))
    parameters = {name: value.detach().requires_grad_() for name, value in model.parameters.items()}
    known = {value.data_ptr() for value in [*parameters.values(), *model.constants.values()]}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in known:
            kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with (
        torch.enable_grad(),
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        objective.losses(model.outputs(parameters, one.inputs), one.targets)
    return max(sum(kept.values()), one.nbytes)
