"""Which tensors of a forward pass are parameters θ, parts of them, or made of nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from hessinf.gradients.layers.tensors_among import is_transformed, tensors_among
from hessinf.gradients.layers.vectorized_gradients import vectorized_gradients

Region = tuple[str, int, tuple[int, ...], tuple[int, ...]]
"""What tells parts of parameters apart: name, offset, size, stride."""


@dataclass(frozen=True)
class ParameterView:
    """A part of a parameter, as a tensor over the parameter's own memory.

    Parameters
    ----------
    name
        The parameter, or a tensor that was derived from parameters.
    slot
        Where a module holds it: the parameter's name, or another one where several share it.
    offset, size, stride
        Which of the parameter's numbers, laid out one after another, the view shows.
    roots
        The parameters that it was derived from; itself if it is one.
    dimensions
        How many dimensions the whole parameter has.
    """

    name: str
    slot: str
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    roots: tuple[str, ...] = field(compare=False)
    dimensions: int = field(compare=False)

    @property
    def module(self) -> str:
        """The qualified name of the module that holds it."""
        return self.slot.rpartition(".")[0]

    @property
    def region(self) -> Region:
        """What tells parts of parameters apart, whoever holds them."""
        return self.name, self.offset, self.size, self.stride

    @property
    def is_derived(self) -> bool:
        """Whether it is no part of a parameter itself."""
        return self.roots != (self.name,)

    @property
    def transposed(self) -> ParameterView:
        """The same matrix with rows and columns exchanged."""
        return self._at(self.offset, self.size[::-1], self.stride[::-1])

    def rows(self, first: int, count: int) -> ParameterView:
        """Take some of its rows."""
        offset = self.offset + first * self.stride[0]
        return self._at(offset, (count, *self.size[1:]), self.stride)

    def _at(self, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> ParameterView:
        return ParameterView(
            self.name, self.slot, offset, size, stride, self.roots, self.dimensions
        )

    @property
    def is_expanded(self) -> bool:
        """Whether one number of the parameter stands for several."""
        return any(
            step == 0 and count > 1 for count, step in zip(self.size, self.stride, strict=True)
        )

    def within(self, total: torch.Tensor) -> torch.Tensor:
        """Find its place in a tensor that has a number for each of the parameter's.

        Parameters
        ----------
        total
            ``[*leading, *shape]``; the last dimensions are contiguous.

        Returns
        -------
        torch.Tensor
            A view ``[*leading, *size]``, with size 1 where the view is expanded.
        """
        size = [
            1 if step == 0 else count for count, step in zip(self.size, self.stride, strict=True)
        ]
        leading = total.ndim - self.dimensions
        return total.as_strided(
            (*total.shape[:leading], *size),
            (*total.stride()[:leading], *self.stride),
            total.storage_offset() + self.offset,
        )

    def add(self, values: torch.Tensor, total: torch.Tensor) -> None:
        """Add gradients ``[*leading, *size]`` where they belong in ``[*leading, *shape]``."""
        if self.is_expanded:
            leading = values.ndim - len(self.size)
            steps = enumerate(zip(self.size, self.stride, strict=True))
            over = [leading + place for place, (count, step) in steps if step == 0 and count > 1]
            values = values.sum(over, keepdim=True)
        self.within(total).add_(values)


@dataclass
class Derived:
    """A tensor made of parameters (and constants) only, so that it is the same for all examples.

    Parameters
    ----------
    shadow
        The same numbers, with the graph back to ``leaves``.
    leaves
        The parameters that it was made of.
    """

    shadow: torch.Tensor
    leaves: dict[str, torch.Tensor]

    def pull_back(self, gradients: torch.Tensor) -> dict[str, torch.Tensor]:
        """Bring gradients ``[K, B, *shape]`` in it back to the parameters."""
        rows = gradients.flatten(0, 1)  # [K·B, *shape]
        leaves = list(self.leaves.values())
        found = vectorized_gradients(self.shadow, leaves, rows)
        return {
            name: gradient.reshape(*gradients.shape[:2], *gradient.shape[1:])
            for name, gradient in zip(self.leaves, found, strict=True)
            if gradient is not None
        }

    def push_forward(self, direction: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Differentiate it in a direction: ``[*shape]`` by the name of each parameter of θ.

        The derivative in a direction is linear in it, so it is the derivative of the pulled back
        gradient's product with the direction, in the gradient.
        """
        leaves = {name: leaf for name, leaf in self.leaves.items() if name in direction}
        probe = torch.zeros_like(self.shadow, requires_grad=True)
        with torch.enable_grad():
            found = torch.autograd.grad(
                self.shadow, list(leaves.values()), probe, create_graph=True, allow_unused=True
            )
            pairs = [
                (gradient, direction[name])
                for name, gradient in zip(leaves, found, strict=True)
                if gradient is not None
            ]
            gradients, along = zip(*pairs, strict=True)
            (derivative,) = torch.autograd.grad(gradients, probe, along)
        return derivative.detach()


class ParameterTable:
    """Tells parameters θ, views of them and what is derived from them alone from other tensors.

    Parameters
    ----------
    parameters
        θ by name.
    slots
        For every place in a module that holds a parameter, which one.
    """

    def __init__(self, parameters: Mapping[str, torch.Tensor], slots: Mapping[str, str]) -> None:
        self.slots: dict[str, torch.Tensor] = {}
        """A tensor for every place: an alias of the parameter, of its own in each."""
        self.derived: dict[str, Derived] = {}
        self._views: dict[int, tuple[torch.Tensor, ParameterView]] = {}
        self._wholes: dict[str, torch.Tensor] = {}
        self._leaves: dict[str, torch.Tensor] = {}
        for name, value in parameters.items():
            self._wholes[name] = value.detach().contiguous()
        for slot, name in slots.items():
            if name in parameters:
                alias = self._wholes[name].detach()
                alias.requires_grad_(parameters[name].requires_grad)
                self.slots[slot] = alias
                self._remember(alias, name, slot, 0, (name,))

    def _remember(
        self, tensor: torch.Tensor, name: str, slot: str, offset: int, roots: tuple[str, ...]
    ) -> None:
        size, stride = _layout(tensor)
        view = ParameterView(name, slot, offset, size, stride, roots, self._wholes[name].ndim)
        self._views[id(tensor)] = (tensor, view)  # held, so that its id stays its own

    def find(self, value: object) -> ParameterView | None:
        """Say what part of θ an argument is; None for anything else."""
        found = self._views.get(id(value))
        return None if found is None else found[1]

    def follow(self, result: object, sources: Sequence[ParameterView]) -> bool:
        """Remember what a function made of parts of θ, if all of that are views of them again."""
        tensors = list(tensors_among(result))
        origins = [self._origin(tensor, sources) for tensor in tensors]
        if any(origin is None for origin in origins):
            return False
        for tensor, origin in zip(tensors, origins, strict=True):
            if origin is not None:
                offset = tensor.storage_offset() - self._wholes[origin.name].storage_offset()
                self._remember(tensor, origin.name, origin.slot, int(offset), origin.roots)
        return True

    def _origin(
        self, tensor: torch.Tensor, sources: Sequence[ParameterView]
    ) -> ParameterView | None:
        """Find the source whose memory a tensor shows, each number once or expanded."""
        if is_transformed(tensor):
            return None
        memory = tensor.untyped_storage().data_ptr()
        for source in sources:
            whole = self._wholes[source.name]
            shared = memory == whole.untyped_storage().data_ptr() and tensor.dtype == whole.dtype
            if shared and not _overlaps(tensor):
                return source
        return None

    def shadow(self, value: object) -> torch.Tensor | None:
        """Give the same numbers with a graph back to θ, for a part of θ; None for anything else."""
        found = self._views.get(id(value))
        if found is None:
            return None
        view = found[1]
        whole = self._wholes[view.name]
        base = (
            self.derived[view.name].shadow
            if view.is_derived
            else self._leaves.setdefault(view.name, whole.detach().requires_grad_())
        )
        if (0, *_layout(whole)) == (view.offset, view.size, view.stride):
            return base
        return base.as_strided(view.size, view.stride, base.storage_offset() + view.offset)

    def derive(self, shadow: torch.Tensor, sources: Sequence[ParameterView]) -> torch.Tensor:
        """Remember a tensor that was made of parts of θ alone, and give it without its graph."""
        shadow = shadow.contiguous()
        name = f"={len(self.derived)}"
        roots = tuple(dict.fromkeys(root for source in sources for root in source.roots))
        self.derived[name] = Derived(shadow, {root: self._leaves[root] for root in roots})
        value = shadow.detach()
        self._wholes[name] = value
        self._remember(value, name, sources[0].slot, 0, roots)
        return value


def _layout(tensor: torch.Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(tensor.shape), tuple(tensor.stride())


def _overlaps(tensor: torch.Tensor) -> bool:
    """Whether a number stands in several places of a tensor other than by expansion."""
    steps = sorted(
        (step, count)
        for step, count in zip(tensor.stride(), tensor.shape, strict=True)
        if step != 0 and count > 1
    )
    reach = 1
    for step, count in steps:
        if step < reach:
            return True
        reach += step * (count - 1)
    return False


def row_range(view: ParameterView, shape: torch.Size) -> range | None:
    """Say which whole rows of a parameter of this shape a view shows, if it does show such."""
    length = math.prod(shape[1:])
    steps = [math.prod(view.size[place + 1 :]) for place in range(len(view.size))]
    contiguous = all(
        count == 1 or step == expected
        for count, step, expected in zip(view.size, view.stride, steps, strict=True)
    )
    if not contiguous or not length or math.prod(view.size[1:]) != length or view.offset % length:
        return None
    first = view.offset // length
    return range(first, first + view.size[0])
