"""Kernels that can be differentiated: fused ones are switched off while derivatives are taken.

Fused attention and recurrent kernels are written for speed in inference or in training, not for
derivatives in evaluation mode: the fused encoder layer has no derivative, fused attention has no
second one, and cuDNN's recurrent layers have none in evaluation mode. The plain kernels compute the
same numbers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


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
def twice_differentiable_attention() -> Iterator[None]:
    """Compute scaled dot-product attention by matrix products, which any derivative goes through."""
    with sdpa_kernel(SDPBackend.MATH):
        yield
