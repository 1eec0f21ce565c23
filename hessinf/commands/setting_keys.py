"""The dotted paths that ``--set`` may name, and the values that may stand there, by the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

DEEPEST = 6
"""Keys of one path: catalogues may hold each other."""


class SettingKeys:
    """What may be set in a config.

    Which arguments an object has depends on its ``type``: the one that the config says, or the
    default one.

    Parameters
    ----------
    schema
        The JSON Schema of configs.
    config
        What the config says; empty where it is not known.
    """

    def __init__(self, schema: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        self.definitions = schema["$defs"]
        self.schema = schema
        self.config = config

    def paths(self) -> dict[str, str]:
        """Return all paths, with what is documented of each."""
        return dict(self._below("", self.schema, self.config, DEEPEST))

    def values(self, path: str) -> list[str]:
        """Return what may stand at a path, as far as it can be counted, as ``--set`` takes it."""
        node, value = self.schema, self.config
        *parents, last = path.split(".")
        for key in parents:
            chosen = self._object(node, value)
            if chosen is None or key not in chosen["properties"]:
                return []
            node = chosen["properties"][key]
            value = _value(value, key, node)
        if last == "type":
            named = [self._type(one) for one in self._objects(node)]
            return [name for name in named if name is not None]
        chosen = self._object(node, value)
        if chosen is None or last not in chosen["properties"]:
            return []
        return list(dict.fromkeys(self._choices(chosen["properties"][last])))

    def _below(self, start: str, node: Any, value: Any, depth: int) -> Iterator[tuple[str, str]]:
        chosen = self._object(node, value)
        if chosen is None or depth == 0:
            return
        for key, argument in chosen["properties"].items():
            which = "the registered name" if key == "type" else ""
            yield f"{start}{key}", argument.get("description", which)
            yield from self._below(
                f"{start}{key}.", argument, _value(value, key, argument), depth - 1
            )

    def _object(self, node: Mapping[str, Any], value: Any) -> Any:
        """Find the object that a value is, or would be: by its type, or by being the only one."""
        objects = list(self._objects(node))
        said = value.get("type") if isinstance(value, dict) else value
        by_type = {self._type(one): one for one in objects}
        if isinstance(said, str):
            return by_type.get(said)
        if list(by_type) == [None] and len(objects) == 1:
            return objects[0]
        return next((one for one in objects if "type" not in one["required"]), None)

    def _objects(self, node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Go through the objects with documented keys that a value may be."""
        for one in self._alternatives(node):
            if "properties" in one and "required" in one and not _is_any_class(one):
                yield one

    def _choices(self, node: Mapping[str, Any]) -> Iterator[str]:
        for one in self._alternatives(node):
            if one.get("type") == "boolean":
                yield from ("true", "false")
            elif one.get("type") == "null":
                yield "null"
            for choice in one.get("enum", []):
                yield choice if isinstance(choice, str) else json.dumps(choice)

    def _alternatives(self, node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Go through what a value may be, references followed."""
        if "$ref" in node:
            yield from self._alternatives(self.definitions[node["$ref"].rpartition("/")[2]])
            return
        several = [*node.get("anyOf", []), *node.get("allOf", [])]
        if several:
            for one in several:
                yield from self._alternatives(one)
        else:
            yield node

    @staticmethod
    def _type(node: Mapping[str, Any]) -> str | None:
        name: str | None = node["properties"].get("type", {}).get("const")
        return name


def _value(parent: Any, key: str, node: Mapping[str, Any]) -> Any:
    """Return what a config says at a key of an object; the default where it says nothing."""
    if isinstance(parent, dict) and key in parent:
        return parent[key]
    return node.get("default")


def _is_any_class(node: Mapping[str, Any]) -> bool:
    """Say whether an object stands for a class anywhere, which a pattern describes only."""
    return "pattern" in node["properties"].get("type", {})
