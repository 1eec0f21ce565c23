"""What an annotation comes down to: aliases, type variables and the like taken away."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, Union, get_origin


def plain(annotation: Any) -> Any:
    """Return the annotation without what a config cannot see.

    ``NewType`` and ``type X = ...`` become what they stand for, a type variable its bound or the
    union of its constraints, ``InitVar[int]`` becomes ``int``.

    Parameters
    ----------
    annotation
        Any annotation.
    """
    if isinstance(annotation, typing.NewType):
        return plain(annotation.__supertype__)
    if isinstance(annotation, typing.TypeVar):
        if annotation.__constraints__:
            return Union[annotation.__constraints__]  # noqa: UP007
        return Any if annotation.__bound__ is None else plain(annotation.__bound__)
    if isinstance(annotation, dataclasses.InitVar):
        return plain(annotation.type)
    if get_origin(annotation) is None and hasattr(annotation, "__value__"):  # Python 3.12's type X
        return plain(annotation.__value__)
    return annotation


def is_instance(value: Any, annotation: type) -> bool:
    """Whether a value is of a class; False for classes that cannot tell, such as protocols."""
    try:
        return isinstance(value, annotation)
    except TypeError:
        return False
