"""A map-style data set of ``(inputs, target)`` pairs, seen as instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from hessinf.data.errors import DataError
from hessinf.data.instance import Instance, InstanceSource
from hessinf.runtime.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")


def to_target(value: Any) -> torch.Tensor:
    """Turn one example's target into the tensor that an instance holds.

    Parameters
    ----------
    value
        A number, array or tensor.

    Returns
    -------
    torch.Tensor
        ``int64`` for booleans and integers; floating numbers keep their type, and a single one
        becomes ``[1]``.
    """
    target = torch.as_tensor(value)
    if not target.is_floating_point():
        return target.to(torch.int64)
    return target if target.ndim else target.reshape(1)


class Pairs(InstanceSource):
    """Pairs that are read when they are asked for, so that data on disk stay there.

    Parameters
    ----------
    pairs
        Anything with ``len`` and integer indices that gives ``(inputs, target)``; the same pair
        each time. Inputs are a tensor, an array, or a dict of those.
    indices
        Which of them, in which order; all when left out.
    """

    def __init__(self, pairs: Any, indices: Sequence[int] | None = None) -> None:
        self._pairs = pairs
        self._indices = range(len(pairs)) if indices is None else indices

    @property
    def ids(self) -> tuple[str, ...]:
        """The place of each pair, as text."""
        return tuple(map(str, self._indices))

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Instance: ...
    @overload
    def __getitem__(self, index: slice) -> Pairs: ...
    def __getitem__(self, index: int | slice) -> Instance | Pairs:
        if isinstance(index, slice):
            return self.select(range(len(self))[index])
        place = self._indices[index]
        pair = self._pairs[place]
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            size = f" of {len(pair)}" if isinstance(pair, (tuple, list)) else ""
            raise DataError(
                f"example {place}: expected a pair (inputs, target), "
                f"found a {type(pair).__name__}{size}; wrap the data set so that it gives pairs"
            )
        inputs, target = pair
        try:
            if isinstance(inputs, Mapping):
                tensors = {str(key): torch.as_tensor(x) for key, x in inputs.items()}
                return Instance(tensors, to_target(target), str(place))
            return Instance(torch.as_tensor(inputs), to_target(target), str(place))
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(
                f"example {place}: inputs ({type(inputs).__name__}) and target "
                f"({type(target).__name__}) must be tensors, arrays or numbers: {error}"
            ) from error

    def select(self, indices: Sequence[int]) -> Pairs:
        """Keep the pairs at ``indices``, in that order, unread."""
        return Pairs(self._pairs, [self._indices[index] for index in indices])
