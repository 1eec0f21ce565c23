"""A check of a few examples before a long run, of what influence rests on."""

from __future__ import annotations

import torch

from hessinf.data import Dataset
from hessinf.data.batching import Batch, Batches
from hessinf.gradients.errors import GradientError
from hessinf.gradients.functional_model import FunctionalModel
from hessinf.models import Objective

EXAMPLES_CHECKED = 4
"""Few, since each of them is looked at alone as well."""

EXAMPLES_MEASURED = 1000
"""Among so many, the shortest and the longest are looked for."""


def telling_examples(dataset: Dataset) -> torch.Tensor:
    """Choose examples that show what padding does: among them the shortest and the longest.

    Parameters
    ----------
    dataset
        The training data.

    Returns
    -------
    torch.Tensor
        Up to ``EXAMPLES_CHECKED`` different places; the first ones where all have one length.
    """
    first = list(range(min(EXAMPLES_CHECKED, len(dataset))))
    if dataset.stacked is None:
        measured = range(min(EXAMPLES_MEASURED, len(dataset)))
        lengths = [_numbers(dataset.instances[place].inputs) for place in measured]
        if len(set(lengths)) > 1:
            extremes = [lengths.index(min(lengths)), lengths.index(max(lengths))]
            others = [place for place in first if place not in extremes]
            first = sorted([*extremes, *others][:EXAMPLES_CHECKED])
    return torch.tensor(first)


def _numbers(inputs: torch.Tensor | dict[str, torch.Tensor]) -> int:
    tensors = inputs.values() if isinstance(inputs, dict) else [inputs]
    return sum(tensor.numel() for tensor in tensors)


def check_contract(
    model: FunctionalModel, objective: Objective, batch: Batch, data: Batches | None = None
) -> None:
    """Check that losses are one an example, repeatable, and independent of batch mates and padding.

    Parameters
    ----------
    model
        The model, in evaluation mode.
    objective
        The loss of every example.
    batch
        Some training examples; the first few are used.
    data
        What the examples come from. When it is given, examples are read anew to look at them alone,
        without the padding that their batch needs.

    Raises
    ------
    GradientError
        When the objective does not give one loss an example, when two passes differ (randomness in
        evaluation mode), or when a loss changes with the other examples of its batch.
    """
    few = batch.select(slice(0, EXAMPLES_CHECKED))
    with torch.no_grad():
        together = _losses(model, objective, few)  # [B]
        again = _losses(model, objective, few)  # [B]
        alone = torch.cat(
            [
                _losses(
                    model,
                    objective,
                    few.select(slice(place, place + 1))
                    if data is None
                    else data.select(few.indices[place : place + 1]),
                )
                for place in range(few.size)
            ]
        )  # [B]
    same = (together == again) | (together.isnan() & again.isnan())  # [B]
    if not bool(same.all()):
        place = int((~same).nonzero()[0])
        raise GradientError(
            f"the loss of training example {int(few.indices[place])} differs between two passes in "
            f"evaluation mode ({together[place].item():.6g}, then {again[place].item():.6g}); "
            "does the model draw random numbers, or keep state, when it is in eval()?"
        )
    tolerance = 1e-3 if model.dtype in (torch.float16, torch.bfloat16) else 1e-4
    scale = together.abs().clamp(min=1.0)  # [B]
    # Losses that are not finite are named with their likely cause when gradients are taken.
    apart = (together - alone).abs() > tolerance * scale  # [B]
    if bool(apart.any()):
        place = int(apart.nonzero()[0])
        raise GradientError(
            f"the loss of training example {int(few.indices[place])} depends on the other examples "
            f"of its batch ({alone[place].item():.6g} alone, {together[place].item():.6g} beside "
            "others); does the model or the loss normalise over the batch, or look at padding?"
        )


def _losses(model: FunctionalModel, objective: Objective, batch: Batch) -> torch.Tensor:
    outputs = model.outputs(model.parameters, batch.inputs)
    losses = objective.losses(outputs, batch.targets)
    if losses.shape != (batch.size,):
        raise GradientError(
            f"the objective gives a tensor of shape {list(losses.shape)} for {batch.size} examples;"
            f" expected one loss an example, shape [{batch.size}] (no mean or sum over the batch)"
        )
    return losses
