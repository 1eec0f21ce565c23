"""``record_chain``: a forward pass as linear layers, functions of single numbers, and sums."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from hessinf.gradients.functional_model import FunctionalModel
from hessinf.gradients.layers.tensors_among import tensors_among
from hessinf.gradients.linearization import NotLinearizableError


@dataclass(frozen=True)
class Linear:
    """``y = a Wᵀ + b``.

    Parameters
    ----------
    source
        The step that gave a; None where no parameter has a part in it.
    weight, bias
        The names of the parameters; None where they are no part of θ, or there is no bias.
    matrix
        W, ``[O, I]``.
    inputs
        a, ``[B, I]``.
    """

    source: int | None
    weight: str | None
    bias: str | None
    matrix: torch.Tensor
    inputs: torch.Tensor


@dataclass(frozen=True)
class Pointwise:
    """``y = φ(x)``, number by number.

    Parameters
    ----------
    source
        The step that gave x.
    slope
        ``φ'(x)``, ``[B, F]``.
    bend
        ``φ''(x)``, ``[B, F]``; None where φ is linear in pieces.
    """

    source: int
    slope: torch.Tensor
    bend: torch.Tensor | None


@dataclass(frozen=True)
class Sum:
    """The sum of what several steps gave."""

    sources: tuple[int, ...]


Step = Linear | Pointwise | Sum

BENT = frozenset(
    {
        *(functional.gelu, functional.silu, functional.elu, functional.selu, functional.celu),
        *(functional.softplus, functional.mish, functional.hardswish, functional.softsign),
        *(functional.logsigmoid, functional.tanhshrink, functional.sigmoid, functional.tanh),
        *(torch.tanh, torch.Tensor.tanh, torch.sigmoid, torch.Tensor.sigmoid, torch.erf),
        *(torch.sin, torch.Tensor.sin, torch.cos, torch.Tensor.cos, torch.exp, torch.Tensor.exp),
        *(torch.square, torch.Tensor.square),
    }
)
STRAIGHT = frozenset(
    {
        *(functional.relu, torch.relu, torch.Tensor.relu, functional.leaky_relu),
        *(functional.relu6, functional.hardtanh, functional.hardsigmoid),
    }
)
"""Functions of single numbers, without and with a second derivative."""

SUMS = frozenset({torch.add, torch.Tensor.add, torch.Tensor.__add__, torch.Tensor.__radd__})
MULTIPLES = frozenset(
    {
        *(torch.mul, torch.Tensor.mul, torch.Tensor.__mul__, torch.Tensor.__rmul__),
        *(torch.div, torch.Tensor.div, torch.Tensor.__truediv__),
    }
)
SHAPES = frozenset(
    {
        *(torch.flatten, torch.Tensor.flatten, torch.reshape, torch.Tensor.reshape),
        *(torch.Tensor.view, torch.unflatten, torch.Tensor.unflatten, torch.squeeze),
        *(torch.Tensor.squeeze, torch.unsqueeze, torch.Tensor.unsqueeze),
    }
)


class ChainRecorder(TorchFunctionMode):
    """Follows what θ has a part in, and refuses whatever is none of the steps.

    Parameters
    ----------
    names
        θ by tensor: what each parameter is called.
    count
        B.
    dtype
        Of the model.
    """

    def __init__(self, names: Mapping[torch.Tensor, str], count: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.names = {id(tensor): name for tensor, name in names.items()}
        self.count = count
        self.dtype = dtype
        self.steps: list[Step] = []
        self._places: dict[int, tuple[torch.Tensor, int, int]] = {}
        self._kept: list[tuple[torch.Tensor, int]] = []

    def place(self, tensor: object) -> int | None:
        """Say which step gave a tensor; None where θ has no part in it."""
        found = self._places.get(id(tensor))
        if found is None:
            return None
        known, place, version = found
        if known._version != version:
            raise NotLinearizableError("what a step gave was written into")
        return place

    def require_kept(self) -> None:
        """Refuse a pass that has written into what steps received."""
        if any(tensor._version != version for tensor, version in self._kept):
            raise NotLinearizableError("what a step received was written into")

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Take down a call, and let it happen."""
        kwargs = kwargs or {}
        tensors = list(tensors_among((args, kwargs)))
        ours = [x for x in tensors if id(x) in self.names or self.place(x) is not None]
        if any(x.requires_grad and not any(x is our for our in ours) for x in tensors):
            raise NotLinearizableError("θ has a part in something that was not seen")
        if not ours:
            return function(*args, **kwargs)
        if function is functional.linear:
            return self._linear(*args, **kwargs)
        if function in BENT or function in STRAIGHT:
            return self._pointwise(function, args, kwargs)
        if function in MULTIPLES and len(tensors) == 1 and args[0] is tensors[0]:
            return self._pointwise(function, args, kwargs)
        result = function(*args, **kwargs)
        if not list(tensors_among(result)):  # a shape, or a type
            return result
        if function in SUMS and "alpha" not in kwargs and "out" not in kwargs:
            shapes = {x.shape for x in tensors}
            if len(shapes) == 1 and all(self.place(x) is not None for x in ours):
                places = tuple(self._need(x) for x in ours)
                return self._keep(result, Sum(places))
        if function is functional.dropout and result is args[0]:
            return result  # in evaluation mode it does nothing
        if function in SHAPES and len(ours) == 1 and result.shape[:1] == (self.count,):
            return self._name(result, self._need(ours[0]))
        raise NotLinearizableError(
            f"{getattr(function, '__name__', function)} is none of the known steps"
        )

    def _linear(
        self, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        source = self.place(input)
        known = source is not None or id(input) not in self.names
        plain = input.ndim == 2 and input.shape[0] == self.count and weight.ndim == 2
        parts = [x for x in (weight, bias) if x is not None]
        if not (known and plain) or any(self.place(x) is not None for x in parts):
            raise NotLinearizableError("a linear layer has other inputs than [B, I]")
        step = Linear(
            source,
            self.names.get(id(weight)),
            None if bias is None else self.names.get(id(bias)),
            weight.detach(),
            input.detach(),
        )
        self._kept.append((input, input._version))
        return self._keep(functional.linear(input, weight, bias), step)

    def _pointwise(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> torch.Tensor:
        given, *rest = args or (kwargs.get("input"),)
        source = self.place(given)
        if source is None or len(list(tensors_among((args, kwargs)))) > 1:
            raise NotLinearizableError("a function of single numbers has other arguments")
        named = {name: value for name, value in kwargs.items() if name != "input"}
        x = given.detach().clone().requires_grad_()
        result = function(*args, **kwargs)
        y = _out_of_place(function)(x, *rest, **named)
        bent = function in BENT
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=bent)
        bend = torch.autograd.grad(slope.sum(), x)[0] if bent else None
        return self._keep(result, Pointwise(source, slope.detach(), bend))

    def _keep(self, result: torch.Tensor, step: Step) -> torch.Tensor:
        if not torch.is_grad_enabled():
            raise NotLinearizableError("a part of the model counts as a constant")
        if result.ndim != 2 or result.shape[0] != self.count or result.dtype != self.dtype:
            raise NotLinearizableError(
                f"a step gives {list(result.shape)}, {result.dtype}, not [B, F] in the model's type"
            )
        self.steps.append(step)
        return self._name(result, len(self.steps) - 1)

    def _name(self, result: torch.Tensor, place: int) -> torch.Tensor:
        self._places[id(result)] = result, place, result._version
        return result

    def _need(self, tensor: torch.Tensor) -> int:
        place = self.place(tensor)
        if place is None:
            raise NotLinearizableError("a parameter is used outside of a linear layer")
        return place


def _out_of_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """Leave an argument ``inplace`` out of account."""
    if not inspect.isfunction(function) or "inplace" not in inspect.signature(function).parameters:
        return function

    def pure(*args: Any, **kwargs: Any) -> Any:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
        return function(**{**given, "inplace": False})

    return pure


def record_chain(model: FunctionalModel, inputs: Any) -> tuple[list[Step], torch.Tensor]:
    """Run a model on B examples.

    Parameters
    ----------
    model
        The model as a function of θ.
    inputs
        A batch's.

    Returns
    -------
    list of Step
        In order; each refers to others by their places.
    torch.Tensor
        The outputs, which the last step gave, ``[B, ...]``.

    Raises
    ------
    NotLinearizableError
        When the model does anything else.
    """
    theta = {name: value.detach().requires_grad_() for name, value in model.parameters.items()}
    tensors = inputs.values() if isinstance(inputs, dict) else [inputs]
    count = next(iter(tensors)).shape[0]
    recorder = ChainRecorder({value: name for name, value in theta.items()}, count, model.dtype)
    with torch.enable_grad(), recorder:
        outputs = model.outputs(theta, inputs)
    place = recorder.place(outputs)
    recorder.require_kept()
    if place is None or place != len(recorder.steps) - 1:
        raise NotLinearizableError("the outputs are none of the last step")
    return recorder.steps, outputs.detach()
