"""JSON Schema of everything a config may say, plugins included, for editors that complete it."""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hessinf.registry import docstring
from hessinf.registry.annotations import plain
from hessinf.registry.bounds import Bound
from hessinf.registry.catalogue import Catalogue, Registration, catalogue_of, qualified_name
from hessinf.registry.describe import describe
from hessinf.registry.lazy import Lazy
from hessinf.registry.plan import as_json
from hessinf.registry.planner import unnamed
from hessinf.registry.signatures import constructor_arguments
from hessinf.registry.value_planner import DICTS, LISTS, SETS

_SCALARS: Mapping[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    Path: "string",
}


def json_schema(target: Any, title: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of configs for ``target``.

    Parameters
    ----------
    target
        What reads the config: a dataclass, a registrable base, any annotated type.
    title
        The schema's title.

    Returns
    -------
    dict
        The schema; every catalogue that is reached stands once under ``$defs``.
    """
    writer = _Writer()
    schema = writer.of(target)
    if "$ref" in schema:
        schema = {"allOf": [schema]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **schema,
        "$defs": writer.definitions,
    }


class _Writer:
    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}
        self.owners: dict[str, type] = {}

    def of(self, annotation: Any) -> dict[str, Any]:
        annotation = plain(annotation)
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            schema = self.of(arguments[0])
            for note in arguments[1:]:
                if isinstance(note, Bound):
                    schema |= note.schema()
            return schema
        if origin is Lazy:
            return self.of(arguments[0])
        if origin in (Union, types.UnionType):
            return {"anyOf": [self.of(argument) for argument in arguments]}
        if origin is Literal:
            return {"enum": [as_json(argument) for argument in arguments]}
        if annotation is None or annotation is type(None):
            return {"type": "null"}
        kind = origin or annotation
        if kind is tuple and arguments and arguments[-1] is not Ellipsis:
            items = [self.of(argument) for argument in arguments]
            return {
                "type": "array",
                "prefixItems": items,
                "minItems": len(items),
                "maxItems": len(items),
            }
        if kind in (*LISTS, tuple, *SETS):
            return {"type": "array", "items": self.of(arguments[0]) if arguments else {}}
        if kind in DICTS:
            values = self.of(arguments[1]) if arguments else {}
            return {"type": "object", "additionalProperties": values}
        if isinstance(kind, type):
            return self._class(kind)
        return {}

    def _class(self, annotation: type) -> dict[str, Any]:
        if annotation in _SCALARS:
            return {"type": _SCALARS[annotation]}
        if issubclass(annotation, enum.Enum):
            return {"enum": [as_json(member) for member in annotation]}
        catalogue = catalogue_of(annotation)
        if catalogue is not None:
            return self._registrable(annotation, catalogue)
        if dataclasses.is_dataclass(annotation):
            return self._dataclass(annotation)
        return {}

    def _key(self, annotation: type) -> str:
        """Return the name under which a class stands in ``$defs``: short where it is the only."""
        short = annotation.__name__
        key = (
            short
            if self.owners.get(short, annotation) is annotation
            else qualified_name(annotation)
        )
        self.owners[key] = annotation
        return key

    def _registrable(self, annotation: type, catalogue: Catalogue) -> dict[str, Any]:
        name = self._key(annotation)
        if name not in self.definitions:
            self.definitions[name] = {}  # a base may be an argument of its own implementations
            fitting = [
                item
                for item in catalogue.entries.values()
                if not isinstance(item.target, type) or issubclass(item.target, annotation)
            ]
            objects = [
                self._object(item, item.name, item.name == catalogue.default) for item in fitting
            ]
            self.definitions[name] = {
                "description": docstring.summary(annotation.__doc__),
                "anyOf": [
                    {"enum": [item.name for item in fitting]},
                    *objects,
                    # a class anywhere, as package.module.Class or package.module:Class
                    {"type": "string", "pattern": "[.:]"},
                    {
                        "type": "object",
                        "properties": {"type": {"type": "string", "pattern": "[.:]"}},
                        "required": ["type"],
                    },
                ],
            }
        return {"$ref": f"#/$defs/{name}"}

    def _dataclass(self, annotation: type) -> dict[str, Any]:
        name = self._key(annotation)
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self._object(unnamed(annotation), None, False)
        return {"$ref": f"#/$defs/{name}"}

    def _object(
        self, registration: Registration, name: str | None, is_default: bool
    ) -> dict[str, Any]:
        target = registration.target
        signature = constructor_arguments(
            target, registration.constructor, registration.local_names
        )
        hidden = registration.injected
        catalogue = catalogue_of(target)
        texts = (
            {item.name: item.text for item in describe(catalogue, registration).arguments}
            if catalogue is not None
            else docstring.parameters(target.__doc__)
        )
        properties: dict[str, Any] = {} if name is None else {"type": {"const": name}}
        required = [] if name is None or is_default else ["type"]
        for argument in signature.values():
            if argument.name in hidden:
                continue
            schema = dict(self.of(argument.type()))
            if texts.get(argument.name):
                schema["description"] = texts[argument.name]
            if argument.required:
                required.append(argument.name)
            else:
                schema["default"] = as_json(argument.default)
            properties[argument.name] = schema
        return {
            "type": "object",
            "description": docstring.summary(target.__doc__),
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
