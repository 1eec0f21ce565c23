"""Where work over shards of data runs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from hessinf.registry import Registrable

Shard = TypeVar("Shard")


class Executor(Registrable):
    """Runs a function over shards of data, and adds up what comes back."""

    default_implementation = "local"

    @abstractmethod
    def sum(self, function: Callable[[Shard], Any], shards: Iterable[Shard]) -> Any:
        """Add up ``function(shard)`` over all shards, in their order.

        Parameters
        ----------
        function
            Returns a tensor, a number, or a dict, list or tuple of such (nested, if one likes), of
            the same structure for every shard. What it returns is never changed.
        shards
            What it is called with.

        Returns
        -------
        same as ``function``
            The sum; None when there are no shards.
        """


@Executor.register("local")
class LocalExecutor(Executor):
    """One shard after another, in this process.

    Registered as an `Executor` with name "local".
    """

    def sum(self, function: Callable[[Shard], Any], shards: Iterable[Shard]) -> Any:
        """Add up over all shards; see the base class."""
        total: Any = None
        for shard in shards:
            part = function(shard)
            total = part if total is None else add(total, part)
        return total


def add(left: Any, right: Any) -> Any:
    """Add two results: tensors, numbers, and dicts, lists and tuples of them.

    Raises
    ------
    ValueError
        When the two differ in structure.
    """
    if isinstance(left, dict | list | tuple) and type(left) is not type(right):
        raise _different(type(left).__name__, type(right).__name__)
    if isinstance(left, dict):
        if left.keys() != right.keys():
            raise _different(f"keys {sorted(map(str, left))}", f"keys {sorted(map(str, right))}")
        return {key: add(value, right[key]) for key, value in left.items()}
    if isinstance(left, list | tuple):
        if len(left) != len(right):
            raise _different(f"length {len(left)}", f"length {len(right)}")
        parts = [add(a, b) for a, b in zip(left, right, strict=True)]
        # A named tuple takes its fields one by one.
        return type(left)(*parts) if hasattr(left, "_fields") else type(left)(parts)
    shapes = [getattr(value, "shape", None) for value in (left, right)]
    if shapes[0] != shapes[1]:
        # Adding would broadcast, which is no sum over shards.
        raise _different(*(f"shape {None if s is None else list(s)}" for s in shapes))
    return left + right


def _different(left: str, right: str) -> ValueError:
    return ValueError(
        f"results of two shards cannot be added: one has {left}, the other {right}; the function "
        "has to return the same structure for every shard"
    )
