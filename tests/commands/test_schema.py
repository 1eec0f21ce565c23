"""``hessinf schema``: every config of the repository conforms to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hessinf.registry import load_config

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*/*.jsonnet"))

TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}

KNOWN = {
    "$schema", "$defs", "title", "description", "default", "format",
    "$ref", "allOf", "anyOf", "enum", "const", "type", "pattern",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "items", "prefixItems", "minItems", "maxItems",
    "properties", "required", "additionalProperties",
}  # fmt: skip


def conforms(value: Any, schema: dict[str, Any], definitions: dict[str, Any]) -> bool:
    """Check what JSON Schema's draft 2020-12 says of the keywords that are used."""
    assert schema.keys() <= KNOWN, schema.keys() - KNOWN
    if "$ref" in schema:
        inner = definitions[schema["$ref"].removeprefix("#/$defs/")]
        if not conforms(value, inner, definitions):
            return False
    if not all(conforms(value, part, definitions) for part in schema.get("allOf", [])):
        return False
    if "anyOf" in schema and not any(conforms(value, x, definitions) for x in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if "type" in schema and not has_type(value, schema["type"]):
        return False
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (
            schema.get("minimum", value) <= value <= schema.get("maximum", value)
            and not value <= schema.get("exclusiveMinimum", value - 1)
            and not value >= schema.get("exclusiveMaximum", value + 1)
        )
    if isinstance(value, list) and "items" in schema:
        return all(conforms(item, schema["items"], definitions) for item in value)
    if isinstance(value, dict):
        return conforming_object(value, schema, definitions)
    return True


def has_type(value: Any, name: str) -> bool:
    if name in ("integer", "number"):
        kind: Any = int if name == "integer" else int | float
        return isinstance(value, kind) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def conforming_object(value: dict[str, Any], schema: dict[str, Any], definitions: Any) -> bool:
    if not set(schema.get("required", [])) <= value.keys():
        return False
    properties = schema.get("properties", {})
    further = schema.get("additionalProperties", True)
    for key, item in value.items():
        if key in properties:
            if not conforms(item, properties[key], definitions):
                return False
        elif further is False or (
            isinstance(further, dict) and not conforms(item, further, definitions)
        ):
            return False
    return True


@pytest.fixture
def schema(cli) -> dict[str, Any]:
    outcome = cli("schema")
    assert (outcome.status, outcome.stderr) == (0, "")
    loaded: dict[str, Any] = json.loads(outcome.stdout)
    return loaded


def test_head(schema):
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "hessinf config"
    assert schema["allOf"] == [{"$ref": "#/$defs/RunConfig"}]
    run = schema["$defs"]["RunConfig"]
    assert run["required"] == ["dataset_reader", "train_data_path", "model", "objective"]
    assert run["properties"]["top_k"] == {
        "type": "integer",
        "minimum": 1,
        "default": 10,
        "description": "How many helpful and how many harmful examples are kept for each query.",
    }


def test_every_key_has_a_description(schema):
    properties = schema["$defs"]["RunConfig"]["properties"]
    assert [key for key, value in properties.items() if not value.get("description")] == []


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_configs_of_the_repository_conform(cli, schema, config):
    assert conforms(load_config(config).data, schema, schema["$defs"])
    resolved = json.loads(cli(f"validate {config} --resolved").stdout)
    assert conforms(resolved, schema, schema["$defs"])


@pytest.mark.parametrize(
    "change",
    [
        {"top_k": 0},
        {"top_k": "10"},
        {"intepreter": "exact"},
        {"interpreter": "exakt"},
        {"interpreter": {"type": "exact", "dampning": 0.1}},
        {"interpreter": {"type": "exact", "damping": -1}},
        {"interpreter": {"type": "simple-influence", "recursion_depth": "half"}},
        {"model": {"type": "mlp", "hidden_sizes": [0]}},
        {"device": "gpu"},
        {"objective": None},
    ],
)
def test_wrong_configs_do_not(schema, change):
    data = load_config(CONFIGS[0]).data
    assert conforms(data, schema, schema["$defs"])
    assert not conforms({**data, **change}, schema, schema["$defs"])


def test_plugins_are_part_of_it(cli, workplace):
    (workplace / "mine.py").write_text(
        "from hessinf import InfluenceInterpreter\n"
        "@InfluenceInterpreter.register('mine')\n"
        "class Mine(InfluenceInterpreter):\n"
        '    """Mine."""\n'
    )
    schema = json.loads(cli("schema --include-package ./mine.py").stdout)
    names = schema["$defs"]["InfluenceInterpreter"]["anyOf"][0]["enum"]
    assert "mine" in names
