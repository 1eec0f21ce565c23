"""How values and types of a config are named in errors."""

from __future__ import annotations

import enum
import json
import types
from collections import abc
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hessinf.registry.annotations import plain
from hessinf.registry.bounds import Bound
from hessinf.registry.catalogue import catalogue_of
from hessinf.registry.signatures import Unresolved

LONGEST_VALUE = 60


def found(value: Any) -> str:
    """Name a value that was found: as JSON, shortened, with its type."""
    if value is None:
        return "null"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = " ".join(repr(value).split())
    if len(text) > LONGEST_VALUE:
        text = text[: LONGEST_VALUE - 1] + "…"
    return f"{text} ({type(value).__name__})"


def type_name(annotation: Any) -> str:
    """Name a type as one writes it: ``list[int]``, ``float >= 0``, ``one of "a", "b"``."""
    annotation = plain(annotation)
    if annotation is None or annotation is type(None):
        return "null"
    if annotation is Any:
        return "any value"
    if isinstance(annotation, Unresolved):
        return annotation.text
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        bounds = [str(item) for item in arguments[1:] if isinstance(item, Bound)]
        return " ".join([type_name(arguments[0]), " and ".join(bounds)]).strip()
    if origin in (Union, types.UnionType):
        return " | ".join(type_name(argument) for argument in arguments)
    if origin is Literal:
        return "one of " + ", ".join(_json(argument) for argument in arguments)
    if origin is not None:
        if getattr(origin, "lazy", False):
            return type_name(arguments[0])
        if catalogue_of(origin) is not None:
            return str(origin.__name__)
        inner = ", ".join("..." if item is Ellipsis else type_name(item) for item in arguments)
        return f"{_plain_name(origin)}[{inner}]"
    if isinstance(annotation, type):
        if issubclass(annotation, enum.Enum):
            return "one of " + ", ".join(_json(member.value) for member in annotation)
        if catalogue_of(annotation) is not None:
            return annotation.__name__
        if annotation is Path:
            return "path (str)"
    return _plain_name(annotation)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _plain_name(annotation: Any) -> str:
    if annotation in (abc.Sequence, abc.Iterable, abc.Collection):
        return "list"
    if annotation in (abc.Mapping, abc.MutableMapping):
        return "dict"
    return getattr(annotation, "__name__", None) or str(annotation)


def with_article(noun: str) -> str:
    """Put "a" or "an" before a name."""
    return f"an {noun}" if noun[0] in "AEIOU" else f"a {noun}"
