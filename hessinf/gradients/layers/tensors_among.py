"""Tensors among the arguments and results of functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch


def tensors_among(value: Any) -> Iterator[torch.Tensor]:
    """Go through arguments or results, and into lists, tuples and dicts among them."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_among(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors_among(part)


def is_transformed(tensor: torch.Tensor) -> bool:
    """Whether a tensor stands for others, inside a transform of ``torch.func``."""
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor))
