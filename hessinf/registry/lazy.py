"""``Lazy``: a part of a config that is checked at once and built later.

A constructor asks for ``Lazy[Optimizer]`` when it alone knows what the optimizer is built with::

    def __init__(self, optimizer: Lazy[Optimizer]) -> None:
        self.optimizer = optimizer

    def train(self, model):
        optimizer = self.optimizer.construct(parameters=model.parameters())
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

Built = TypeVar("Built")


class Lazy(Generic[Built]):
    """Something that is built when :meth:`construct` is called, each time anew.

    Parameters
    ----------
    constructor
        What builds it: a class, or any callable.
    spec
        Its config, with every default written out; None where it was made in code.
    **arguments
        Arguments to pass to the constructor; those of :meth:`construct` go first.
    """

    lazy: ClassVar[bool] = True

    def __init__(
        self, constructor: Callable[..., Built], /, *, spec: Any = None, **arguments: Any
    ) -> None:
        self.constructor = constructor
        self.arguments = arguments
        self.spec = spec

    def construct(self, **arguments: Any) -> Built:
        """Build the object with what only the caller knows.

        Parameters
        ----------
        **arguments
            Injected arguments, passed on at any depth to whoever declares them, and arguments of
            the object's own constructor, which take precedence over the config.
        """
        return self.constructor(**{**self.arguments, **arguments})

    def __repr__(self) -> str:
        what = self.spec if self.spec is not None else self.constructor
        return f"Lazy({what!r})"
