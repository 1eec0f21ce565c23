"""What a matrix product takes on this machine, in processor seconds: the yardstick of benchmarks.

Processor seconds of two processes differ when others use the machine; their ratio to a matrix
product that was timed in the same process, just before or after, differs less.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from hessinf.runtime.float32_products import float32_products

KERNEL_SHAPE = (2048, 1024, 4096)
"""Rows, inner size and columns of the product: 17.2 GFLOP."""

KERNEL_FLOPS = 2 * KERNEL_SHAPE[0] * KERNEL_SHAPE[1] * KERNEL_SHAPE[2]


def processor_seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """Time a function by the processor, over all threads; the median of some repetitions."""
    found = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return statistics.median(found)


def kernel_seconds(
    dtype: torch.dtype = torch.float32,
    repeats: int = 3,
    shape: tuple[int, int, int] = KERNEL_SHAPE,
) -> float:
    """Time the product.

    Parameters
    ----------
    dtype
        ``torch.float32`` for sgemm, ``torch.float64`` for dgemm.
    repeats
        How often; the median is returned. One more, which is not timed, goes before.
    shape
        Rows, inner size, columns.

    Returns
    -------
    float
        Processor seconds.
    """
    rows, inner, columns = shape
    left = torch.rand(rows, inner, dtype=dtype)
    right = torch.rand(inner, columns, dtype=dtype)
    out = torch.empty(rows, columns, dtype=dtype)
    torch.mm(left, right, out=out)
    return processor_seconds(lambda: torch.mm(left, right, out=out), repeats)


@dataclass(frozen=True)
class Yardstick:
    """How fast matrix products are, now and here.

    Parameters
    ----------
    kernel
        Processor seconds of the 17.2-GFLOP sgemm, as PyTorch multiplies unless told otherwise.
    rates
        The fastest way to multiply that PyTorch has, in FLOP for each processor second, by
        precision: "float32" and "float64".
    """

    kernel: float
    rates: Mapping[str, float]

    @property
    def plain_rate(self) -> float:
        """The rate of sgemm as PyTorch multiplies unless told otherwise."""
        return KERNEL_FLOPS / self.kernel


def yardstick(repeats: int = 3) -> Yardstick:
    """Measure sgemm, by both libraries that PyTorch has for it, and dgemm."""
    kernel = kernel_seconds(repeats=repeats)
    with float32_products():
        fastest = min(kernel, kernel_seconds(repeats=repeats))
    double = kernel_seconds(torch.float64, repeats)
    return Yardstick(kernel, {"float32": KERNEL_FLOPS / fastest, "float64": KERNEL_FLOPS / double})
