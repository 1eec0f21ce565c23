"""Gradients multiplied with directions in θ, position by position of a sequence.

A layer's gradient is a sum over the positions at which it was used, ``Σ_s g_s ⊗ a_s``, and so is
its inner product with a direction f: ``Σ_s g_sᵀ F a_s`` (Grosse et al. 2023, "Studying Large
Language Model Generalization with Influence Functions", §3.3). For an embedding that is
``Σ_s g_sᵀ F[id_s]``, for a scale and shift ``Σ_s g_sᵀ (x̂_s f_w + f_b)``. Where the positions are
those of a text, each term belongs to one of its tokens.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from hessinf.gradients.layers.call import Call, MatrixPart
from hessinf.gradients.layers.elementwise import ElementwiseCall
from hessinf.gradients.layers.layer_gradients import LayerGradients
from hessinf.gradients.layers.parameter_table import ParameterView

Examples = slice | torch.Tensor
"""Places in the batch."""

DirectionOf = Callable[[ParameterView], torch.Tensor]
"""Gives what a direction in θ has for a part of a parameter, ``[*size]``."""


class PositionProducts:
    """The gradients of B examples, ready to be multiplied with one direction after another.

    Parameters
    ----------
    gradients
        Of one number of each example, ``K = 1``, all parameters of which layers cover.
    length
        S, how many positions the sequences of the batch have, padding included.
    positional
        By the site of a call, the dimension of what it gave in which the positions of the sequence
        lie. What is left out belongs to no position.
    """

    def __init__(
        self, gradients: LayerGradients, length: int, positional: Mapping[str, int]
    ) -> None:
        self.length = length
        self.count = gradients.count
        self._derived = gradients.derived
        names = {*gradients.plan.shapes, *self._derived}
        self._terms: list[_Term] = []
        for call, gradient in gradients.calls:
            place = _Place.of(call, gradients, positional.get(call.site))
            if isinstance(call, ElementwiseCall):
                self._terms += _elementwise_terms(call, gradient, gradients, names, place)
            else:
                self._terms += _matrix_terms(call, gradient, gradients, place)

    def __call__(
        self, direction: Mapping[str, torch.Tensor], examples: Examples = slice(None)
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Multiply the gradients of some examples with one direction.

        Parameters
        ----------
        direction
            ``[*shape]`` by the name of each parameter of θ.
        examples
            Which b of the B examples.

        Returns
        -------
        torch.Tensor
            ``[b, S]``: what each position contributes to the inner product.
        torch.Tensor
            ``[b]``: what comes from layers that were not used position by position.
        """
        known = {name: value.contiguous() for name, value in direction.items()}
        for name, derived in self._derived.items():
            known[name] = derived.push_forward(direction)

        def direction_of(view: ParameterView) -> torch.Tensor:
            return view.within(known[view.name]).expand(view.size)

        some = next(iter(direction.values()))
        count = len(torch.arange(self.count)[examples])
        positions = some.new_zeros(count, self.length)  # [b, S]
        rest = some.new_zeros(count)  # [b]
        for term in self._terms:
            products = term.products(direction_of, examples)  # [b, S] or [b]
            if products.ndim == 2:
                positions += products
            else:
                rest += products
        return positions, rest


@dataclass(frozen=True)
class _Place:
    """Where positions lie in what a call gave.

    Parameters
    ----------
    sizes
        Of its dimensions, examples taken out of theirs.
    dimension
        The one of them with the positions; None where there are none.
    """

    sizes: tuple[int, ...]
    dimension: int | None

    @classmethod
    def of(cls, call: Call, gradients: LayerGradients, dimension: int | None) -> _Place:
        axis = gradients.position_of(call).axis
        sizes = list(call.shape)
        sizes[axis.dimension] //= gradients.recorded
        return cls(tuple(sizes), dimension)

    def without_features(self, features: int) -> _Place:
        """Leave out the dimension of features, which was summed over."""
        place = features % len(self.sizes)
        sizes = (*self.sizes[:place], *self.sizes[place + 1 :])
        dimension = self.dimension
        if dimension is not None and dimension > place:
            dimension -= 1
        return _Place(sizes, dimension)

    def by_position(self, products: torch.Tensor) -> torch.Tensor:
        """Sum ``[b, *sizes]``, or the same flattened, over all but positions: ``[b, S]``, ``[b]``.

        Without positions everything is summed.
        """
        if self.dimension is None:
            return products.reshape(len(products), -1).sum(1)
        before = math.prod(self.sizes[: self.dimension])
        shape = (len(products), before, self.sizes[self.dimension], -1)
        return products.reshape(shape).sum((1, 3))


class _Term(ABC):
    """What one call adds to the gradients of what it used."""

    @abstractmethod
    def products(self, direction_of: DirectionOf, examples: Examples) -> torch.Tensor:
        """Multiply with a direction: ``[b, S]``, or ``[b]`` where it has no positions."""


@dataclass(frozen=True)
class _Rows(_Term):
    """A matrix whose gradient is ``Σ_s rows_s ⊗ columns_s``."""

    part: MatrixPart
    rows: torch.Tensor  # [B, S', O]
    columns: torch.Tensor  # [B, S', I]
    place: _Place

    def products(self, direction_of: DirectionOf, examples: Examples) -> torch.Tensor:
        rows = self.rows[examples]  # [b, S', O]
        total = rows.new_zeros(rows.shape[:2])  # [b, S']
        if self.part.weight is not None:
            matrix = direction_of(self.part.weight).flatten(1)  # [O, I]
            total += ((rows @ matrix) * self.columns[examples]).sum(-1)
        if self.part.bias is not None:
            total += rows @ direction_of(self.part.bias)
        return self.place.by_position(total)


@dataclass(frozen=True)
class _LookedUp(_Term):
    """A table whose gradient is ``Σ_s onehot(ids_s) ⊗ columns_s``."""

    weight: ParameterView
    ids: torch.Tensor  # [B, S']
    columns: torch.Tensor  # [B, S', E]
    place: _Place

    def products(self, direction_of: DirectionOf, examples: Examples) -> torch.Tensor:
        rows = direction_of(self.weight)[self.ids[examples]]  # [b, S', E]
        return self.place.by_position((rows * self.columns[examples]).sum(-1))


@dataclass(frozen=True)
class _Elementwise(_Term):
    """A parameter whose gradient is a sum of terms, over all that it was broadcast along."""

    view: ParameterView
    terms: torch.Tensor  # [B, *sizes]
    size: tuple[int, ...]
    place: _Place

    def products(self, direction_of: DirectionOf, examples: Examples) -> torch.Tensor:
        direction = direction_of(self.view).reshape(self.size)
        return self.place.by_position(self.terms[examples] * direction)


def _matrix_terms(
    call: Call, gradient: torch.Tensor, gradients: LayerGradients, place: _Place
) -> list[_Term]:
    positions = place.without_features(call.features)
    found: list[_Term] = []
    for number, part in enumerate(call.parts()):
        rows, columns = call.factors(number, gradient, gradients.position_of(call))
        if call.gradient_side == "columns" and part.weight is not None:
            found.append(_LookedUp(part.weight, rows, columns[0], positions))
        else:
            found.append(_Rows(part, rows[0], columns, positions))
    return found


def _elementwise_terms(
    call: ElementwiseCall,
    gradient: torch.Tensor,
    gradients: LayerGradients,
    names: set[str],
    place: _Place,
) -> list[_Term]:
    position = gradients.position_of(call)
    return [
        _Elementwise(view, position.to_front(terms, 1)[0], size, place)
        for view, terms, size in call.terms(names, gradient)
    ]


def positional_dimensions(
    gradients: LayerGradients,
    length: int,
    others: Mapping[str, Sequence[int]],
    other_length: int,
) -> dict[str, int]:
    """Find in which dimension of what calls gave the positions of sequences lie.

    It is the one that has as many places as the sequences in each of two passes, over sequences of
    different length.

    Parameters
    ----------
    gradients
        Of one pass.
    length
        Of its sequences.
    others
        The shape of what each call of the other pass gave, by its site.
    other_length
        Of the other sequences.

    Returns
    -------
    dict of str to int
        The dimension by site. Calls with no such dimension, or several, are left out.
    """
    found = {}
    for call, _ in gradients.calls:
        axis = gradients.position_of(call).axis
        other = others.get(call.site, ())
        if len(other) != len(call.shape):
            continue
        matching = []
        for place, (here, there) in enumerate(zip(call.shape, other, strict=True)):
            share = gradients.recorded if place == axis.dimension else 1
            if here == share * length and there == share * other_length:
                matching.append(place)
        if len(matching) == 1:
            found[call.site] = matching[0]
    return found
