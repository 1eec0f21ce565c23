"""``CallRecorder``: sees every function that a forward pass calls with parameters θ."""

from __future__ import annotations

import types as python_types
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from typing import Any

import torch
from torch.autograd.graph import get_gradient_edge
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from hessinf.gradients.errors import GradientError
from hessinf.gradients.layers.call import Call
from hessinf.gradients.layers.fast_linear import fast_linear
from hessinf.gradients.layers.known_functions import DETACHING_FUNCTIONS, KNOWN_FUNCTIONS
from hessinf.gradients.layers.parameter_table import ParameterTable, ParameterView
from hessinf.gradients.layers.tensors_among import is_transformed, tensors_among


class CallRecorder(TorchFunctionMode):
    """Keeps the calls whose gradients can be made of factors, and names the other parameters.

    A function that receives a parameter is one of these:

    - known (:data:`KNOWN_FUNCTIONS`): a :class:`Call` is kept, and its output is made part of the
      graph of activations, so that the gradient in it can be asked for although no parameter
      requires one;
    - one that gives views of the parameter: they are followed;
    - one of parameters and constants only (weight normalization, a table looked up at the same
      positions for all examples): what it gives is derived from parameters, and is followed;
    - a function of ``torch.nn.functional`` that is written in Python: it is looked into;
    - any other: its parameters are left to the general route.

    Parameters
    ----------
    table
        Tells parameters from other tensors.
    constants
        What else the model holds; it is the same for all examples.
    shared
        The sites of calls whose output is the same for all examples.
    """

    def __init__(
        self,
        table: ParameterTable,
        constants: Iterable[torch.Tensor] = (),
        shared: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.table = table
        self.shared = shared
        self.calls: list[Call] = []
        self.used: set[str] = set()
        """The parameters that any function has received."""
        self.left: dict[str, str] = {}
        """Those that a function received which is not known, and what that is called."""
        self._constants = {id(value): value for value in constants}
        self._times: Counter[str] = Counter()

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Look at a call, and let it happen."""
        kwargs = kwargs or {}
        tensors = list(tensors_among((args, kwargs)))
        sources = [view for value in tensors if (view := self.table.find(value)) is not None]
        if not sources:
            result = function(*args, **kwargs)
            if all(id(value) in self._constants for value in tensors):
                self._constants.update((id(value), value) for value in tensors_among(result))
            elif writes_into(function):
                self._constants.pop(id(tensors[0]), None)
            return result
        self._refuse_writing(function, args, kwargs)
        if not torch.is_grad_enabled() or function in DETACHING_FUNCTIONS:
            return function(*args, **kwargs)
        transformed = any(map(is_transformed, tensors))
        call = None if transformed else self._read(function, args, kwargs)
        if call is not None:
            run = fast_linear if function is functional.linear else function
            return self._keep(call, run(*args, **kwargs))
        return self._call_unknown(function, args, kwargs, tensors, sources)

    def _call_unknown(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        tensors: Sequence[torch.Tensor],
        sources: Sequence[ParameterView],
    ) -> Any:
        """Call a function of parts of θ that no reader knows, or not with such arguments."""
        alone = not any(
            id(value) not in self._constants and self.table.find(value) is None for value in tensors
        )
        inside = None if alone else _looked_into(function)
        if inside is not None:
            with self:
                return inside(*args, **kwargs)
        result = function(*args, **kwargs)
        if not _has_derivative(result):
            return result
        if not writes_into(function) and self.table.follow(result, sources):
            return result
        self.used.update(root for view in sources for root in view.roots)
        if alone and not writes_into(function) and isinstance(result, torch.Tensor):
            return self._derive(function, args, kwargs, sources)
        for view in sources:
            for root in view.roots:
                self.left.setdefault(root, getattr(function, "__name__", str(function)))
        return result

    def _read(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Call | None:
        reader = KNOWN_FUNCTIONS.get(function)
        if reader is None:
            return None
        try:
            call = reader(self.table.find, *args, **kwargs)
        except TypeError:  # arguments in another form, which the function itself may take
            return None
        if call is None:
            return None
        slots = ",".join(view.slot for view in call.views.values())
        label = f"{slots}:{call.kind}"
        call.site = f"{label}:{self._times[label]}"
        self._times[label] += 1
        return None if call.site in self.shared else call

    def _keep(self, call: Call, result: torch.Tensor) -> torch.Tensor:
        self.used.update(call.names)
        owner = _owner(result)
        if call.shares_memory or owner is None:
            owner = result = result + _anchor(result)
        elif not result.requires_grad and call.writes:
            owner = result.add_(_anchor(result))
        elif not result.requires_grad:  # detached, it is no view: activations may write into it
            owner = result = result.detach().add_(_anchor(result))
        call.shape = result.shape
        call.edge = get_gradient_edge(owner)
        self.calls.append(call)
        return result

    def _derive(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        sources: Sequence[ParameterView],
    ) -> torch.Tensor:
        def shadowed(value: torch.Tensor) -> torch.Tensor:
            shadow = self.table.shadow(value)
            return value if shadow is None else shadow

        args, kwargs = tree_map_only(torch.Tensor, shadowed, (args, kwargs))
        return self.table.derive(function(*args, **kwargs), sources)

    def _refuse_writing(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Raise where a parameter itself would be written into, which is the caller's."""
        named = dict(zip(("input", "weight", "padding_idx", "max_norm"), args, strict=False))
        named |= kwargs
        renormalizes = function is functional.embedding and named.get("max_norm") is not None
        view = None
        if renormalizes or writes_into(function):
            view = self.table.find(named.get("weight" if renormalizes else "input"))
        if view is None or view.is_derived:
            return
        raise GradientError(
            f'the module "{view.module}" writes into its parameter "{view.slot}" in its forward '
            f"pass ({function.__name__}); it has no derivatives there, and the model would be "
            "changed: let it do so in training only"
        )


def writes_into(function: Callable[..., Any]) -> bool:
    """Whether a function changes its first argument."""
    name = getattr(function, "__name__", "")
    if name.endswith("__"):
        return name == "__setitem__" or name in IN_PLACE_OPERATORS
    return name.endswith("_") and name != "requires_grad_"


IN_PLACE_OPERATORS = frozenset(
    f"__i{name}__"
    for name in ("add", "sub", "mul", "truediv", "floordiv", "pow", "mod", "matmul", "and", "or")
)


def _anchor(result: torch.Tensor) -> torch.Tensor:
    """Make a zero that begins a graph, when it is added."""
    return torch.zeros((), dtype=result.dtype, device=result.device, requires_grad=True)


def _owner(result: torch.Tensor) -> torch.Tensor | None:
    """Find what a result is a view of, if it shows all of that in order.

    Gradients must be asked for there: an activation that writes into a view goes past the view.
    """
    base = result._base
    if base is None:
        return result
    same = base.numel() == result.numel() and base.is_contiguous() and result.is_contiguous()
    return base if same else None


def _has_derivative(result: Any) -> bool:
    return any(value.is_floating_point() or value.is_complex() for value in tensors_among(result))


@cache
def _looked_into(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Make a copy of a function of ``torch.nn.functional`` that shows what it calls.

    Written in Python, they hand over to a mode as a whole; the copy is told that there is none.
    """
    if not isinstance(function, python_types.FunctionType):
        return None
    if function.__module__ != "torch.nn.functional":
        return None
    overlay = dict(function.__globals__)
    for name in ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"):
        overlay[name] = lambda *_: False
    inside = python_types.FunctionType(
        function.__code__, overlay, function.__name__, function.__defaults__, function.__closure__
    )
    inside.__kwdefaults__ = function.__kwdefaults__
    return inside
