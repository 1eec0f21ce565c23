"""What a person is shown of an example whose reader says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from hessinf.data.instance import Instance

LARGEST_ROW = 256
"""Vectors up to this length are shown as a row."""

LARGEST_IMAGE = 32 * 32
"""Images ``[1, H, W]`` of up to so many pixels are shown."""


def default_display(
    instance: Instance,
    label_names: Sequence[str] | None,
    feature_names: Sequence[str] | None,
) -> dict[str, Any]:
    """Describe an example by its numbers.

    Parameters
    ----------
    instance
        The example.
    label_names, feature_names
        Names of classes and of input features, where they are known.

    Returns
    -------
    dict
        ``"row"`` or ``"image"`` where the inputs are small enough to be looked at, and ``"label"``
        or ``"target"``.
    """
    display: dict[str, Any] = {}
    inputs = instance.inputs
    if not isinstance(inputs, dict):
        if inputs.ndim == 1 and len(inputs) <= LARGEST_ROW:
            names = feature_names or [str(feature) for feature in range(len(inputs))]
            display["row"] = dict(zip(names, rounded(inputs), strict=False))
        elif inputs.ndim == 3 and len(inputs) == 1 and inputs.numel() <= LARGEST_IMAGE:
            display["image"] = rounded(inputs[0])
    display |= shown_target(instance.target, label_names)
    return display


def shown_target(target: torch.Tensor, label_names: Sequence[str] | None) -> dict[str, Any]:
    """Describe a target: ``{"label": name}``, ``{"target": number}`` or, for several, a list."""
    if target.is_floating_point():
        return {"target": rounded(target)[0] if target.numel() == 1 else rounded(target)}
    if target.ndim:
        return {"target": target.tolist()}
    return {"label": label_name(int(target), label_names)}


def label_name(label: int, label_names: Sequence[str] | None) -> str:
    """Name a class, by its number where it has no name."""
    known = label_names is not None and 0 <= label < len(label_names)
    return label_names[label] if known and label_names is not None else str(label)


def rounded(values: torch.Tensor) -> Any:
    """Turn a tensor into nested lists; floating numbers with four digits after the point."""
    values = values.detach()
    return (
        values.double().round(decimals=4).tolist()
        if values.is_floating_point()
        else values.tolist()
    )
