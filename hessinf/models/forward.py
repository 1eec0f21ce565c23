"""One way to call a network, whatever its inputs and outputs look like."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hessinf.models.errors import ModelError
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")


def forward(
    call: Callable[..., Any], inputs: torch.Tensor | dict[str, torch.Tensor]
) -> torch.Tensor:
    """Compute a network's outputs for a batch of inputs.

    Parameters
    ----------
    call
        The network, or a function that stands for it (``torch.func.functional_call`` with some
        parameters).
    inputs
        A tensor, which is the only argument, or a dict, which is passed by name.

    Returns
    -------
    torch.Tensor
        The outputs: what the network returns, or its ``logits`` (as transformers name them).

    Raises
    ------
    ModelError
        When the network returns neither a tensor nor an object with ``logits``.
    """
    outputs = call(**inputs) if isinstance(inputs, dict) else call(inputs)
    if isinstance(outputs, torch.Tensor):
        return outputs
    logits = outputs.get("logits") if isinstance(outputs, dict) else None
    logits = getattr(outputs, "logits", logits)
    if isinstance(logits, torch.Tensor):
        return logits
    raise ModelError(
        f"the network returned a {type(outputs).__name__}, expected a tensor or an object with "
        "`logits`; wrap it in a module that returns its outputs"
    )
