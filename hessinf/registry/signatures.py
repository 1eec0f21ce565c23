"""What a constructor takes: names, annotations and defaults, also behind ``**kwargs``."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
MISSING: Any = inspect.Parameter.empty
"""Stands where an argument has no default, or no annotation."""


@dataclass(frozen=True)
class Unresolved:
    """An annotation that names something which cannot be found.

    Parameters
    ----------
    text
        The annotation as it is written.
    reason
        What Python said.
    """

    text: str
    reason: str


@dataclass(frozen=True)
class Argument:
    """One argument of a constructor.

    Parameters
    ----------
    name
        Its name.
    annotation
        Its annotation as it is written: a type, or a string to be evaluated by :meth:`type`.
    default
        Its default, or :data:`MISSING`.
    namespace
        The module in which names of a string annotation are looked up.
    local_names
        Where they are looked up first.
    """

    name: str
    annotation: Any
    default: Any
    namespace: dict[str, Any]
    local_names: Mapping[str, Any]

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is MISSING

    def type(self) -> Any:
        """Return the annotation as a type; ``Any`` without one, :class:`Unresolved` on failure."""
        if self.annotation is MISSING:
            return Any
        holder = types.SimpleNamespace(__annotations__={"it": self.annotation})
        try:
            return typing.get_type_hints(
                holder, self.namespace, dict(self.local_names), include_extras=True
            )["it"]
        except Exception as error:  # whatever evaluating a name can raise
            return Unresolved(str(self.annotation), f"{type(error).__name__}: {error}")


def constructor_arguments(
    target: Callable[..., Any],
    constructor: str | None = None,
    local_names: Mapping[str, Any] | None = None,
) -> dict[str, Argument]:
    """List what a class, one of its alternative constructors, or a function takes.

    ``**kwargs`` is followed: to the next class up the hierarchy that defines ``__init__``, and from
    an alternative constructor to the class's own. ``*args`` and positional-only arguments cannot
    be given by name and are left out.

    Parameters
    ----------
    target
        A class or a function.
    constructor
        The name of a class method that builds the object instead of ``__init__``.
    local_names
        Names that annotations may use beside those of the module, for classes defined inside a
        function.

    Returns
    -------
    dict of str to Argument
        In the order in which they are written; what a subclass declares hides what it inherits.
    """
    arguments: dict[str, Argument] = {}
    if not isinstance(target, type):
        _collect(target, target, arguments, local_names, skip_first=False)
        return arguments
    if constructor is not None:
        method = getattr(target, constructor)
        followed = _collect(target, method, arguments, local_names, skip_first=False)
        if not followed:
            return arguments
    for owner in target.__mro__:
        initializer = vars(owner).get("__init__")
        if initializer is None or owner is object:
            continue
        if not _collect(owner, initializer, arguments, local_names, skip_first=True):
            break
    return arguments


def _collect(
    owner: Any,
    function: Callable[..., Any],
    arguments: dict[str, Argument],
    local_names: Mapping[str, Any] | None,
    *,
    skip_first: bool,
) -> bool:
    """Add a function's own arguments; return whether it passes ``**kwargs`` on."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # written in C, without a signature
        return False
    if skip_first:
        parameters = parameters[1:]
    follows = False
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            follows = True
        elif parameter.kind in BY_NAME and parameter.name not in arguments:
            arguments[parameter.name] = Argument(
                parameter.name,
                parameter.annotation,
                _default(owner, parameter),
                _namespace(owner, function, parameter.name),
                local_names or {},
            )
    return follows


def _namespace(owner: Any, function: Callable[..., Any], name: str) -> dict[str, Any]:
    """Return the names of the module in which an annotation was written."""
    if isinstance(owner, type) and "__dataclass_fields__" in vars(owner):
        # The generated __init__ carries the annotations of inherited fields along.
        for ancestor in owner.__mro__:
            if name in vars(ancestor).get("__annotations__", {}):
                return vars(sys.modules[ancestor.__module__])
    function = inspect.unwrap(function)
    namespace: dict[str, Any] = getattr(getattr(function, "__func__", function), "__globals__", {})
    return namespace


class MadeAnew:
    """A default that is made for each object: the ``default_factory`` of a dataclass's field.

    Parameters
    ----------
    factory
        What makes it.
    """

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory


def _default(owner: Any, parameter: inspect.Parameter) -> Any:
    # The signature of a dataclass shows such a default as <factory>.
    if repr(parameter.default) == "<factory>":
        return MadeAnew(owner.__dataclass_fields__[parameter.name].default_factory)
    return parameter.default
