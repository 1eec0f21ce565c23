"""Calls that add a parameter to positions, or multiply them by it, and those that repeat it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, ClassVar

import torch

from hessinf.gradients.layers.call import Call, Find, Position, views_of
from hessinf.gradients.layers.elementwise import ElementwiseCall
from hessinf.gradients.layers.parameter_table import ParameterView


class BroadcastCall(ElementwiseCall):
    """An elementwise function of positions and a parameter that is broadcast along them."""

    kind: ClassVar[str] = "elementwise"

    def __init__(
        self,
        view: ParameterView,
        inputs: dict[str, torch.Tensor],
        derivative: Callable[[dict[str, torch.Tensor]], torch.Tensor | float],
    ) -> None:
        super().__init__({"parameter": view}, inputs)
        self._derivative = derivative

    def example_dimensions(self) -> Sequence[int]:
        """Name every dimension."""
        return range(len(self.shape))

    def allows(self, position: Position) -> bool:
        """Tell whether the parameter is the same for all examples."""
        size = self.views["parameter"].size
        along = position.axis.dimension - (len(self.shape) - len(size))
        return position.count == 1 or along < 0 or size[along] == 1

    def terms(
        self, wanted: Collection[str], gradient: torch.Tensor
    ) -> Iterator[tuple[ParameterView, torch.Tensor, tuple[int, ...]]]:
        """Give the gradient times the derivative of the function."""
        view = self.views["parameter"]
        if view.name in wanted:
            derivative = self._derivative(self.inputs)
            constant = isinstance(derivative, float) and derivative == 1.0
            yield view, gradient if constant else gradient * derivative, view.size


def _split(find: Find, one: Any, other: Any) -> tuple[ParameterView, Any, bool] | None:
    """Tell which argument is the parameter: it, the other argument, and whether it comes first."""
    views = views_of(find, one=one, other=other)
    if len(views) != 1 or not (isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)):
        return None
    if "one" in views:
        return views["one"], other, True
    return views["other"], one, False


def read_add(find: Find, input: Any, other: Any, *, alpha: float = 1) -> Call | None:
    """Read ``input + alpha · other``."""
    found = _split(find, input, other)
    if found is None:
        return None
    view, _, first = found
    factor = 1.0 if first else float(alpha)
    return BroadcastCall(view, {}, lambda _: factor)


def read_subtract(find: Find, input: Any, other: Any, *, alpha: float = 1) -> Call | None:
    """Read ``input - alpha · other``."""
    return read_add(find, input, other, alpha=-alpha)


def read_reversed_subtract(find: Find, input: Any, other: Any, *, alpha: float = 1) -> Call | None:
    """Read ``other - alpha · input``."""
    return read_add(find, other, input, alpha=-alpha)


def read_multiply(find: Find, input: Any, other: Any) -> Call | None:
    """Read ``input · other``."""
    found = _split(find, input, other)
    if found is None:
        return None
    view, values, _ = found
    return BroadcastCall(view, {"values": values}, lambda inputs: inputs["values"])


def read_divide(
    find: Find, input: Any, other: Any, *, rounding_mode: str | None = None
) -> Call | None:
    """Read ``input / other``, the parameter being below."""
    found = _split(find, input, other)
    if found is None or found[2] or rounding_mode is not None:
        return None
    view, values, _ = found
    divisor = other.detach()
    return BroadcastCall(
        view, {"values": values}, lambda inputs: -inputs["values"] / divisor.square()
    )


def read_add_in_place(find: Find, input: Any, other: Any, *, alpha: float = 1) -> Call | None:
    """Read ``input += alpha · other``, where no other tensor shares the memory of ``input``."""
    view = find(other)
    if view is None or find(input) is not None or input._is_view():
        return None
    return AdditionInPlaceCall(view, {}, lambda _: float(alpha))


class AdditionInPlaceCall(BroadcastCall):
    """A parameter added to positions where they lie."""

    kind: ClassVar[str] = "addition"
    writes: ClassVar[bool] = True


class RepeatCall(BroadcastCall):
    """Copies of a parameter, some for each example: class tokens, start states."""

    kind: ClassVar[str] = "repeat"
    shares_memory: ClassVar[bool] = True


def read_expand(find: Find, input: torch.Tensor, *_: Any, **__: Any) -> Call | None:
    """Read the arguments of :meth:`torch.Tensor.expand` and its like."""
    view = find(input)
    return None if view is None else RepeatCall(view, {}, lambda _: 1.0)


def read_repeat(find: Find, input: torch.Tensor, *sizes: Any) -> Call | None:
    """Read the arguments of :meth:`torch.Tensor.repeat`, along dimensions of size 1."""
    view = find(input)
    if view is None:
        return None
    counts = list(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else list(sizes)
    along = counts[len(counts) - input.ndim :]
    if any(count != 1 and size != 1 for count, size in zip(along, input.shape, strict=True)):
        return None
    return RepeatCall(view, {}, lambda _: 1.0)
