"""Calls that use parameters element by element: their gradients are sums of products."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from functools import partial

import torch

from hessinf.gradients.layers.call import Call, Compute, Position
from hessinf.gradients.layers.parameter_table import ParameterView


class ElementwiseCall(Call):
    """A function whose derivative in each parameter is one number for each number it gives."""

    @abstractmethod
    def terms(
        self, wanted: Collection[str], gradient: torch.Tensor
    ) -> Iterator[tuple[ParameterView, torch.Tensor, tuple[int, ...]]]:
        """Give what gradients are sums of.

        Parameters
        ----------
        wanted
            Names of parameters, and of tensors derived from them.
        gradient
            In y, ``[K, *shape]``.

        Yields
        ------
        tuple
            A part of a parameter; the terms ``[K, *shape]``, to be summed over all that it is
            broadcast along; and its size as it is aligned with the last dimensions of ``shape``.
        """

    def values(
        self, wanted: Collection[str], gradient: torch.Tensor, position: Position
    ) -> Iterator[tuple[ParameterView, Compute]]:
        """Sum the terms within each example."""
        for view, product, size in self.terms(wanted, gradient):
            yield view, partial(_summed, product, size, view, position)


def _summed(
    product: torch.Tensor, size: Sequence[int], view: ParameterView, position: Position, _: object
) -> torch.Tensor:
    found = reduced(product, size, position)  # [K, B', *size]
    return found.reshape(*found.shape[:2], *view.size)


def reduced(product: torch.Tensor, size: Sequence[int], position: Position) -> torch.Tensor:
    """Sum over all that a parameter was broadcast along, within each example.

    Parameters
    ----------
    product
        ``[K, *shape]``.
    size
        Of the parameter, aligned with the last dimensions of ``shape``.
    position
        Where examples lie.

    Returns
    -------
    torch.Tensor
        ``[K, B', *size]``.
    """
    front = position.to_front(product, 1)  # [K, B', *shape], examples taken out of their dimension
    missing = front.ndim - 2 - len(size)
    over = list(range(2, 2 + missing))
    over += [
        2 + missing + place
        for place, count in enumerate(size)
        if count == 1 and front.shape[2 + missing + place] != 1
    ]
    summed = front.sum(over, keepdim=True) if over else front
    return summed.reshape(*front.shape[:2], *size)
