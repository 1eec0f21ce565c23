"""Which functions of torch are known, and how their arguments are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hessinf.gradients.layers import broadcast, convolution, embedding, linear, normalization
from hessinf.gradients.layers.call import Reader

Function = Callable[..., Any]


def _known() -> dict[Function, Reader]:
    readers: dict[Reader, list[Function]] = {
        linear.read_linear: [functional.linear],
        linear.read_addmm: [torch.addmm, Tensor.addmm],
        linear.read_matmul: [
            torch.matmul,
            torch.mm,
            Tensor.matmul,
            Tensor.mm,
            Tensor.__matmul__,
        ],
        convolution.read_convolution: [torch.conv1d, torch.conv2d, torch.conv3d],
        embedding.read_functional_embedding: [functional.embedding],
        embedding.read_embedding: [torch.embedding],
        embedding.read_index: [Tensor.__getitem__],
        normalization.read_layer_norm: [functional.layer_norm, torch.layer_norm],
        normalization.read_rms_norm: [functional.rms_norm, torch.rms_norm],
        normalization.read_group_norm: [functional.group_norm, torch.group_norm],
        normalization.read_functional_batch_norm: [functional.batch_norm],
        normalization.read_batch_norm: [torch.batch_norm],
        normalization.read_instance_norm: [functional.instance_norm],
        broadcast.read_add: [torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__],
        broadcast.read_add_in_place: [Tensor.add_, Tensor.__iadd__],
        broadcast.read_subtract: [torch.sub, torch.subtract, Tensor.sub, Tensor.__sub__],
        broadcast.read_reversed_subtract: [torch.rsub, Tensor.__rsub__],
        broadcast.read_multiply: [
            torch.mul,
            torch.multiply,
            Tensor.mul,
            Tensor.__mul__,
            Tensor.__rmul__,
        ],
        broadcast.read_divide: [torch.div, torch.true_divide, Tensor.div, Tensor.__truediv__],
        broadcast.read_expand: [Tensor.expand, Tensor.expand_as, Tensor.broadcast_to],
        broadcast.read_repeat: [Tensor.repeat],
    }
    return {function: reader for reader, functions in readers.items() for function in functions}


KNOWN_FUNCTIONS = _known()
"""The reader of each."""

DETACHING_FUNCTIONS: frozenset[Function] = frozenset(
    {Tensor.detach, torch.detach, Tensor.data.__get__}  # type: ignore[attr-defined]
)
"""They make constants of parameters."""
