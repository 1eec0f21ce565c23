from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from hessinf.registry import Above, AtLeast, Below, Lazy, Registrable, import_plugins
from hessinf.registry.schema import json_schema


class Color(enum.Enum):
    RED = "red"


class Solver(Registrable):
    """Solves."""

    default_implementation = "exact"
    injected = ("model",)


@Solver.register("exact")
class Exact(Solver):
    """Solve exactly.

    Parameters
    ----------
    damping
        What is added to the diagonal.
    inner
        Another solver.
    """

    def __init__(
        self,
        model: Any,
        damping: Annotated[float, Above(0), Below(1)] = 0.1,
        inner: Solver | None = None,
    ) -> None: ...


@Solver.register("table")
class Table(Solver):
    """Look it up."""

    def __init__(self, path: Path, sizes: tuple[int, int] = (1, 2)) -> None: ...


@dataclass
class Run:
    """A run."""

    solver: Solver
    later: Lazy[Solver] | None = None
    rates: list[Annotated[int, AtLeast(1)]] = field(default_factory=lambda: [1])
    color: Color = Color.RED
    mode: Literal["a", "b"] = "a"
    table: dict[str, float] = field(default_factory=dict)
    limit: float = float("inf")
    name: str | None = None


def fits(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    """Check a value against the part of JSON Schema that is used here."""
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
    }
    known = {
        "$schema", "title", "$defs", "description", "default", "$ref", "allOf", "anyOf", "enum",
        "const", "type", "properties", "required", "additionalProperties", "items", "prefixItems",
        "minItems", "maxItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
        "pattern",
    }  # fmt: skip
    assert set(schema) <= known
    if "$ref" in schema and not fits(root["$defs"][schema["$ref"][8:]], value, root):
        return False
    if "type" in schema:
        if not isinstance(value, kinds[schema["type"]]):
            return False
        if isinstance(value, bool) and schema["type"] != "boolean":
            return False
    checks = [
        all(fits(part, value, root) for part in schema.get("allOf", [])),
        "anyOf" not in schema or any(fits(part, value, root) for part in schema["anyOf"]),
        value in schema.get("enum", [value]),
        value == schema.get("const", value),
    ]
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        checks += [key in value for key in schema.get("required", [])]
        for key, item in value.items():
            part = properties.get(key, others)
            checks.append(part is not False and fits(part, item, root))
    if isinstance(value, list):
        items = schema.get("prefixItems") or [schema.get("items", {})] * len(value)
        checks.append(schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 1e9))
        checks += [fits(part, item, root) for part, item in zip(items, value, strict=False)]
    if isinstance(value, int | float):
        checks += [
            value >= schema.get("minimum", value),
            value <= schema.get("maximum", value),
            value > schema.get("exclusiveMinimum", value - 1),
            value < schema.get("exclusiveMaximum", value + 1),
        ]
    if isinstance(value, str) and "pattern" in schema:
        checks.append("." in value or ":" in value)
    return all(checks)


SCHEMA = json_schema(Run, "hessinf")


@pytest.mark.parametrize(
    "value",
    [
        {"solver": "exact"},
        {"solver": {"damping": 0.5}},
        {"solver": {"type": "exact", "inner": {"type": "table", "path": "x", "sizes": [1, 2]}}},
        {"solver": "my_package.my_module.Solver"},
        {"solver": {"type": "my_package:Solver", "anything": 1}},
        {"solver": "exact", "later": None, "rates": [1, 2], "color": "red", "mode": "b"},
        {"solver": "exact", "table": {"a": 1}, "limit": 3, "name": None},
    ],
)
def test_schema_accepts(value):
    assert fits(SCHEMA, value, SCHEMA)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"solver": "exct"},
        {"solver": {"damping": 1}},
        {"solver": {"dampning": 0.5}},
        {"solver": {"type": "exact", "model": 1}},
        {"solver": {"type": "table"}},
        {"solver": {"path": "x"}},
        {"solver": {"type": "table", "path": "x", "sizes": [1]}},
        {"solver": "exact", "rates": [0]},
        {"solver": "exact", "rates": "1"},
        {"solver": "exact", "mode": "c"},
        {"solver": "exact", "table": {"a": "b"}},
        {"solver": "exact", "more": 1},
    ],
)
def test_schema_rejects(value):
    assert not fits(SCHEMA, value, SCHEMA)


def test_schema_is_json_and_says_what_it_is():
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "hessinf"
    assert json.loads(json.dumps(SCHEMA, allow_nan=False)) == SCHEMA


def test_schema_hides_what_is_injected_and_shows_texts_and_defaults():
    exact = SCHEMA["$defs"]["Solver"]["anyOf"][1]
    assert list(exact["properties"]) == ["type", "damping", "inner"]
    assert exact["description"] == "Solve exactly."
    assert exact["properties"]["damping"] == {
        "type": "number",
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 1,
        "description": "What is added to the diagonal.",
        "default": 0.1,
    }
    assert SCHEMA["$defs"]["Solver"]["description"] == "Solves."


def test_schema_covers_plugins(tmp_path):
    file = tmp_path / "plugin_for_schema.py"
    file.write_text(
        "import sys\n"
        f"Solver = sys.modules[{__name__!r}].Solver\n"
        "@Solver.register('from-plugin')\n"
        "class FromPlugin(Solver):\n"
        "    def __init__(self, size: int): ...\n"
    )
    import_plugins([file])
    try:
        schema = json_schema(Run, "hessinf")
    finally:
        del Solver.catalogue.entries["from-plugin"]
    assert fits(schema, {"solver": {"type": "from-plugin", "size": 1}}, schema)
    assert not fits(schema, {"solver": {"type": "from-plugin", "size": "1"}}, schema)
    assert not fits(SCHEMA, {"solver": {"type": "from-plugin", "size": 1}}, SCHEMA)


def test_classes_of_one_name_are_kept_apart():
    first = make_dataclass("Point", [("x", int)])
    second = make_dataclass("Point", [("x", str)])
    second.__qualname__ = "Other.Point"
    schema = json_schema(tuple[first, second], "t")
    assert fits(schema, [{"x": 1}, {"x": "a"}], schema)
    assert not fits(schema, [{"x": 1}, {"x": 1}], schema)


def test_an_argument_of_a_subclass_takes_only_its_own():
    class Base(Registrable):
        pass

    class Special(Base):
        pass

    Base.register("plain")(type("Plain", (Base,), {}))
    Base.register("special")(Special)
    schema = json_schema(Special, "t")
    assert fits(schema, "special", schema)
    assert not fits(schema, "plain", schema)
