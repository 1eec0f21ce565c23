"""Calls that scale and shift what they have normalised."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch.nn import functional

from hessinf.gradients.layers.call import Call, Find, views_of
from hessinf.gradients.layers.elementwise import ElementwiseCall
from hessinf.gradients.layers.parameter_table import ParameterView

Normalize = Callable[[torch.Tensor], torch.Tensor]


class NormalizationCall(ElementwiseCall):
    """``y = x̂ · weight + bias``, where x̂ is the normalised x."""

    kind: ClassVar[str] = "normalization"

    normalize: Normalize
    """Gives x̂."""

    trailing: int | None = None
    """How many last dimensions weight and bias have; None where they lie along dimension 1."""

    def example_dimensions(self) -> Sequence[int]:
        """Name the first, or all but those that are normalised."""
        return range(1 if self.trailing is None else len(self.shape) - self.trailing)

    def terms(
        self, wanted: Collection[str], gradient: torch.Tensor
    ) -> Iterator[tuple[ParameterView, torch.Tensor, tuple[int, ...]]]:
        """Give the gradient, times x̂ for the weight."""
        for name, view in self.views.items():
            if view.name not in wanted:
                continue
            scaled = name == "weight"
            product = gradient * self.normalize(self.inputs["input"]) if scaled else gradient
            along_channels = self.trailing is None
            ones = (1,) * (len(self.shape) - 2) if along_channels else ()
            yield view, product, (*view.size, *ones)


def _call(
    find: Find,
    input: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    trailing: int | None,
    normalize: Normalize,
) -> Call | None:
    if find(input) is not None or (trailing is None and input.ndim < 2):
        return None
    call = NormalizationCall(views_of(find, weight=weight, bias=bias), {"input": input})
    call.trailing = trailing
    call.normalize = normalize
    return call


def read_layer_norm(
    find: Find,
    input: torch.Tensor,
    normalized_shape: Any,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
    **__: Any,
) -> Call | None:
    """Read the arguments of :func:`torch.nn.functional.layer_norm`."""
    shape = list(normalized_shape)
    return _call(
        find, input, weight, bias, len(shape), lambda x: functional.layer_norm(x, shape, eps=eps)
    )


def read_rms_norm(
    find: Find,
    input: torch.Tensor,
    normalized_shape: Any,
    weight: torch.Tensor | None = None,
    eps: float | None = None,
) -> Call | None:
    """Read the arguments of :func:`torch.nn.functional.rms_norm`."""
    shape = list(normalized_shape)
    return _call(
        find, input, weight, None, len(shape), lambda x: functional.rms_norm(x, shape, eps=eps)
    )


def read_group_norm(
    find: Find,
    input: torch.Tensor,
    num_groups: int,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
    **__: Any,
) -> Call | None:
    """Read the arguments of :func:`torch.nn.functional.group_norm`."""
    return _call(
        find, input, weight, bias, None, lambda x: functional.group_norm(x, num_groups, eps=eps)
    )


def read_functional_batch_norm(
    find: Find,
    input: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    _: float = 0.1,
    eps: float = 1e-5,
    **__: Any,
) -> Call | None:
    """Read the arguments of :func:`torch.nn.functional.batch_norm`, with running statistics."""
    if training or running_mean is None or running_var is None:
        return None
    mean, variance = running_mean.clone(), running_var.clone()
    return _call(
        find,
        input,
        weight,
        bias,
        None,
        lambda x: functional.batch_norm(x, mean, variance, eps=eps),
    )


def read_batch_norm(
    find: Find,
    input: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    training: bool,
    _: float,
    eps: float,
    *__: Any,
) -> Call | None:
    """Read the arguments of :func:`torch.batch_norm`."""
    return read_functional_batch_norm(
        find, input, running_mean, running_var, weight, bias, training, eps=eps
    )


def read_instance_norm(
    find: Find,
    input: torch.Tensor,
    running_mean: torch.Tensor | None = None,
    running_var: torch.Tensor | None = None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    use_input_stats: bool = True,
    _: float = 0.1,
    eps: float = 1e-5,
    **__: Any,
) -> Call | None:
    """Read the arguments of :func:`torch.nn.functional.instance_norm`."""
    if not use_input_stats and (running_mean is None or running_var is None):
        return None
    mean = None if use_input_stats or running_mean is None else running_mean.clone()
    variance = None if use_input_stats or running_var is None else running_var.clone()
    return _call(
        find,
        input,
        weight,
        bias,
        None,
        lambda x: functional.instance_norm(
            x, mean, variance, use_input_stats=use_input_stats, eps=eps
        ),
    )
