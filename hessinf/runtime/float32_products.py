"""``float32_products``: matrix products of float32 by the faster of two libraries in PyTorch.

On CPUs PyTorch multiplies matrices of float32 with MKL, which uses half the width of the vector
units of CPUs that are not Intel's; oneDNN, which is in PyTorch too, uses all of it. It is asked for
by the setting that allows it to shorten numbers to bfloat16 on the way. It does so only where there
are instructions that are faster then (AMX): whether it does is tried out, and where it does, the
setting is left alone. So products are float32's either way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from typing import Any

from hessinf.runtime.lazy_import import lazy_import

torch: Any = lazy_import("torch")

TOLERATED = 1e-5
"""A relative error that products in float32 stay below, and in bfloat16 or TF32 exceed by far."""


@contextlib.contextmanager
def float32_products() -> Iterator[None]:
    """Multiply matrices of float32 on the CPU as fast as PyTorch can, while the block runs.

    Results are rounded in float32 as always, in another order. Nothing changes for other types, for
    GPUs, where the machine gains nothing, and where the caller has set a precision already.
    """
    settings = _settings()
    if settings is None or settings.fp32_precision != "none" or not _gains():
        yield
        return
    settings.fp32_precision = "bf16"
    try:
        yield
    finally:
        settings.fp32_precision = "none"


def _settings() -> Any:
    """Return what holds the precision of oneDNN's matrix products; None in an older PyTorch."""
    settings = getattr(torch.backends.mkldnn, "matmul", None)
    return settings if hasattr(settings, "fp32_precision") else None


@cache
def _gains() -> bool:
    """Whether oneDNN has wide vectors to use, and keeps to float32 with them."""
    if not torch.backends.mkldnn.is_available():
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    numbers = torch.arange(2 * 64 * 256, dtype=torch.float32).mul_(0.6180339887) % 1 - 0.5
    left, right = numbers.reshape(2, 64, 256)
    exact = left.double() @ right.double().T  # [64, 64]
    settings = _settings()
    settings.fp32_precision = "bf16"
    try:
        found = left @ right.T  # [64, 64]
    finally:
        settings.fp32_precision = "none"
    return float((found - exact).norm() / exact.norm()) < TOLERATED
