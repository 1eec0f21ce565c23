"""Kernels that can be differentiated: fused ones are switched off while derivatives are taken.

Fused attention and recurrent kernels are written for speed in inference or in training, not for
derivatives in evaluation mode: the fused encoder layer has no derivative, fused attention has no
second one, cuDNN's recurrent layers have none in evaluation mode, and the second derivative of the
fused weight normalisation is wrong (PyTorch 2.13, on the CPU). The plain kernels compute the same
numbers. Compiled code is run as it was written, since nothing is seen of what happens inside.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode


@contextlib.contextmanager
def unfused_layers(*, recurrent: bool = False) -> Iterator[None]:
    """Run encoder layers part by part, and recurrent layers without cuDNN where asked for."""
    fused = torch.backends.mha.get_fastpath_enabled()
    if not (fused or recurrent):
        yield
        return
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        if recurrent:
            with torch.backends.cudnn.flags(enabled=False):
                yield
        else:
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


@contextlib.contextmanager
def without_compilation() -> Iterator[None]:
    """Run compiled modules and functions as they were written, where there can be any."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


@contextlib.contextmanager
def twice_differentiable_attention() -> Iterator[None]:
    """Compute scaled dot-product attention by matrix products, which have all derivatives."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


class UnfusedWeightNorm(TorchFunctionMode):
    """Computes ``g·v/‖v‖`` by operations whose derivatives are right."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Replace the fused normalisation, and leave everything else as it is."""
        if function is torch._weight_norm:
            direction, length, *dim = args
            norms = torch.norm_except_dim(direction, 2, *dim)
            return direction * (length / norms)
        return function(*args, **(kwargs or {}))


def normalizes_weights(module: torch.nn.Module) -> bool:
    """Whether a module uses weight normalisation, as a parametrization or as a hook."""
    return any(
        type(part).__name__ in ("_WeightNorm", "WeightNorm")
        for submodule in module.modules()
        for part in (submodule, *submodule._forward_pre_hooks.values())
    )
