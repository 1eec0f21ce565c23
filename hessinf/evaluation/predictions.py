"""What a trained model says of a data set: losses, and how often it is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from hessinf.data import Dataset
from hessinf.data.batching import Batch, Batches
from hessinf.models import Objective
from hessinf.models.forward import forward

BATCH_SIZE = 1024


def has_classes(dataset: Dataset) -> bool:
    """Whether each example has one class."""
    return dataset.is_classification and dataset.target_shape == ()


def losses(
    module: torch.nn.Module, dataset: Dataset, objective: Objective, device: torch.device
) -> np.ndarray:
    """Compute the loss of each example, in evaluation mode.

    Returns
    -------
    numpy.ndarray
        ``[n]``, float64.
    """
    return over(
        module, dataset, device, lambda batch, out: objective.losses(out, batch.targets).double()
    )


def correct(
    module: torch.nn.Module, dataset: Dataset, objective: Objective, device: torch.device
) -> np.ndarray | None:
    """Say which examples are put into their class; None where targets are no single classes.

    Returns
    -------
    numpy.ndarray or None
        ``[n]``, of bool.
    """
    if not has_classes(dataset):
        return None
    return over(
        module, dataset, device, lambda batch, out: objective.predictions(out) == batch.targets
    )


def summary(
    module: torch.nn.Module, dataset: Dataset, objective: Objective, device: torch.device
) -> dict[str, Any]:
    """Say how well a model does: mean loss, and accuracy where there are classes."""
    facts = {"loss": float(losses(module, dataset, objective, device).mean())}
    right = correct(module, dataset, objective, device)
    if right is not None:
        facts["accuracy"] = float(right.mean())
    return facts


def over(
    module: torch.nn.Module,
    dataset: Dataset,
    device: torch.device,
    compute: Callable[[Batch, torch.Tensor], torch.Tensor],
) -> np.ndarray:
    """Compute a number for each example from a model's outputs, in evaluation mode.

    Parameters
    ----------
    module
        The model; it is left where it was, and as it was.
    dataset
        ``n`` examples.
    device
        Where to compute.
    compute
        Makes ``[B]`` numbers of a batch and the outputs ``[B, ...]`` for it.

    Returns
    -------
    numpy.ndarray
        ``[n]``.
    """
    values = [compute(batch, out).cpu() for batch, out in _outputs(module, dataset, device)]
    found: np.ndarray = torch.cat(values).numpy()  # [n]
    return found


def _outputs(
    module: torch.nn.Module, dataset: Dataset, device: torch.device
) -> Iterator[tuple[Batch, torch.Tensor]]:
    """Pass a data set through a model, which is left where it was."""
    parameters = [value for value in module.parameters() if value.is_floating_point()]
    dtype = parameters[0].dtype if parameters else torch.float32
    before = parameters[0].device if parameters else device
    was_training = module.training
    module.eval().to(device)
    try:
        with torch.no_grad():
            for batch in Batches(dataset, BATCH_SIZE, device, dtype):
                yield batch, forward(module, batch.inputs)  # [B, ...]
    finally:
        module.train(was_training).to(before)
