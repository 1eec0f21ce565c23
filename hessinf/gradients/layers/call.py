"""``Call``: one call of a function that used parameters θ, and how its gradient is made."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch.autograd.graph import GradientEdge

from hessinf.gradients.layers.example_axis import ExampleAxis
from hessinf.gradients.layers.parameter_table import ParameterView

Compute = Callable[[torch.Tensor | None], torch.Tensor]
"""Computes a gradient, in the tensor that it is given or in a new one."""

Find = Callable[[object], ParameterView | None]
"""Says what part of θ an argument is."""


@dataclass(frozen=True)
class Position:
    """Where examples lie in the output of a call.

    Parameters
    ----------
    axis
        Their dimension.
    count
        B.
    only
        The examples that gradients are wanted of; None for all.
    dtype
        To which floating factors are brought: autocast may have chosen another for a layer.
    """

    axis: ExampleAxis
    count: int
    only: slice | torch.Tensor | None = None
    dtype: torch.dtype | None = None

    def to_front(self, tensor: torch.Tensor, leading: int = 0) -> torch.Tensor:
        """Bring ``[*leading, *shape]`` to ``[*leading, B', ...]``; B' of the B examples."""
        front = self.axis.to_front(tensor, self.count, leading)
        if front.is_floating_point() and self.dtype is not None:
            front = front.to(self.dtype)
        if self.only is None:
            return front
        if isinstance(self.only, torch.Tensor):
            return front.index_select(leading, self.only.to(front.device))
        return front[(*(slice(None),) * leading, self.only)]

    def to_rows(self, tensor: torch.Tensor, leading: int = 0) -> torch.Tensor:
        """Bring ``[*leading, *positions, F]`` to ``[*leading, B', S, F]``."""
        return self.to_front(tensor, leading).flatten(leading + 1, -2)


@dataclass(frozen=True)
class MatrixPart:
    """A matrix of parameters in a call, and the bias that is added to its product.

    Parameters
    ----------
    weight
        ``[O, I]`` or ``[O, ...]``; None where the weight is no part of θ.
    bias
        ``[O]``; None where there is none in θ.
    """

    weight: ParameterView | None
    bias: ParameterView | None


class Call(ABC):
    """One call of a function. What it gave is called y.

    Parameters
    ----------
    views
        The arguments that are parts of θ, by name.
    inputs
        The tensors that gradients are made of, by name.
    """

    kind: ClassVar[str]
    """What it is called in the names of call sites."""

    gradient_side: ClassVar[Literal["rows", "columns"]] = "rows"

    features: ClassVar[int] = -1
    """The dimension of y with the features of a position, where there are :meth:`parts`."""

    shares_memory: ClassVar[bool] = False
    """Whether y may be a view of something else."""

    writes: ClassVar[bool] = False
    """Whether y is one of its inputs, written into."""

    padding_idx: int | None = None
    """Of the ids that it looks up, the one whose row gets no gradient."""

    def __init__(
        self, views: Mapping[str, ParameterView], inputs: Mapping[str, torch.Tensor]
    ) -> None:
        self.views = dict(views)
        self.inputs = {name: tensor.detach() for name, tensor in inputs.items()}
        self.site = ""
        """Names the place of this call in the model's forward pass."""
        self.shape = torch.Size()
        """Of y."""
        self.edge: GradientEdge | None = None
        """Where the gradient in y can be had; None where y counts as a constant."""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that it used, also those that its arguments were derived from."""
        return tuple(root for view in self.views.values() for root in view.roots)

    @property
    def module(self) -> str:
        """Names the module that made the call, and what it did."""
        first = next(iter(self.views.values()))
        return f"{first.module}:{self.kind}"

    @abstractmethod
    def example_dimensions(self) -> Sequence[int]:
        """Say along which dimensions of y examples may lie."""

    def allows(self, position: Position) -> bool:
        """Whether gradients can be made with examples lying there."""
        return True

    def parts(self) -> tuple[MatrixPart, ...]:
        """List the matrices among the parameters."""
        return ()

    def space(self, count: int) -> tuple[int, ...] | None:
        """Say what space the positions of B examples lie in, as :class:`Usage` has it."""
        return () if len(self.shape) > 2 or self.shape[0] > count else None

    def positions(self, count: int) -> int:
        """Say at how many positions each of B examples is used, as :class:`Usage` has it."""
        return math.prod(self.shape[:-1]) // count

    def factors(
        self, place: int, gradient: torch.Tensor, position: Position
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the rows and inputs, as :class:`Usage` has them, of ``parts()[place]``.

        Parameters
        ----------
        place
            Which part.
        gradient
            In y, ``[K, *shape]``.
        position
            Where examples lie.
        """
        raise NotImplementedError

    @abstractmethod
    def values(
        self, wanted: Collection[str], gradient: torch.Tensor, position: Position
    ) -> Iterator[tuple[ParameterView, Compute]]:
        """Compute gradients of what it used.

        Parameters
        ----------
        wanted
            Names of parameters, and of tensors derived from them.
        gradient
            In y, ``[K, *shape]``.
        position
            Where examples lie.

        Yields
        ------
        tuple of ParameterView and function
            A part of a parameter, and what computes its gradient ``[K, B', *view.size]``.
        """


Reader = Callable[..., Call | None]
"""Makes a call of :data:`Find` and a function's arguments; None where it is none that is known."""


def views_of(find: Find, **arguments: object) -> dict[str, ParameterView]:
    """Pick the arguments that are parts of θ."""
    found = {name: find(value) for name, value in arguments.items()}
    return {name: view for name, view in found.items() if view is not None}
