"""The precision of the matrix products that scores are made of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import torch

from hessinf.runtime.float32_products import float32_products

ScorePrecision = Literal["model", "tf32", "bfloat16"]
"""What products of factors are computed in; they are added up in float32 at least."""

PRECISIONS: tuple[ScorePrecision, ...] = ("model", "tf32", "bfloat16")


def check_precision(precision: str, dtype: torch.dtype, device: torch.device) -> None:
    """Refuse a precision that makes no sense for a model, or that the machine does not have.

    Parameters
    ----------
    precision
        What was asked for.
    dtype, device
        The model's.

    Raises
    ------
    ValueError
        Which says what to use instead.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f'score_precision must be "model", "tf32" or "bfloat16", found {precision!r}'
        )
    if precision == "model":
        return
    if dtype != torch.float32:
        raise ValueError(
            f'score_precision "{precision}" shortens products of float32, and the model is '
            f'{str(dtype).removeprefix("torch.")}; use score_precision "model"'
        )
    if precision == "tf32" and device.type != "cuda":
        raise ValueError(
            f'score_precision "tf32" is a format of NVIDIA GPUs, and the device is "{device}"; use '
            'score_precision "model"'
        )
    if precision == "bfloat16" and device.type == "cpu" and not cpu_has_bfloat16():
        raise ValueError(
            'score_precision "bfloat16": this CPU has no instructions for it, and would be slower '
            'than in float32; use score_precision "model"'
        )


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies numbers of bfloat16."""
    library: Any = torch.backends.mkldnn
    return bool(library.is_available()) and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def shortened(tensor: torch.Tensor, precision: ScorePrecision) -> torch.Tensor:
    """Return a factor in the type that it is multiplied in."""
    if precision == "bfloat16" and tensor.dtype == torch.float32:
        return tensor.to(torch.bfloat16)
    return tensor


def add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    """Add ``left @ right`` to a matrix, which may be of a longer type than they are."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    elif left.device.type == "cuda":
        total += torch.mm(left, right, out_dtype=total.dtype)
    else:
        total += left @ right


def multiplied(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Multiply matrices into ``out``, which may be of a longer type than they are."""
    if left.dtype == out.dtype:
        return torch.mm(left, right, out=out)
    if left.device.type == "cuda":
        return torch.mm(left, right, out_dtype=out.dtype, out=out)
    return out.copy_(left @ right)


@contextlib.contextmanager
def products_in(precision: ScorePrecision, device: torch.device) -> Iterator[None]:
    """Set how matrix products of float32 are computed, while the block runs."""
    if device.type == "cuda" and precision == "tf32":
        matmul = torch.backends.cuda.matmul
        before = matmul.allow_tf32
        matmul.allow_tf32 = True
        try:
            yield
        finally:
            matmul.allow_tf32 = before
        return
    with float32_products() if device.type == "cpu" else contextlib.nullcontext():
        yield
