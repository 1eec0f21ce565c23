from __future__ import annotations

import re
from typing import Any

import pytest

from hessinf.registry import ConfigError, JsonnetError, JsonnetOptions
from hessinf.registry.overrides import (
    apply_overrides,
    evaluate_overrides,
    parse_overrides,
    parse_settings,
)


def settings(data: Any, *texts: str) -> Any:
    apply_overrides(data, parse_settings(texts))
    return data


def overrides(data: Any, text: str) -> Any:
    apply_overrides(data, parse_overrides(evaluate_overrides(text).value))
    return data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=3", 3),
        ("a=0.5", 0.5),
        ("a=true", True),
        ("a=null", None),
        ("a=None", "None"),
        ("a=[1,2]", [1, 2]),
        ('a={"b": 1}', {"b": 1}),
        ('a="3"', "3"),
        ("a=three words", "three words"),
        ("a=", ""),
        ("a=b=c", "b=c"),
        ("a=[a-z]+", "[a-z]+"),
        ("a=NaN", "NaN"),
        ("a=1e400", "1e400"),
        ("a=12345678901234567890", 12345678901234567890),
        (" a =3", 3),
    ],
)
def test_set_reads_json_else_text(text, value):
    result = settings({}, text)["a"]
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("text", ["a", "=3", ""])
def test_set_without_a_path(text):
    with pytest.raises(
        ConfigError,
        match=re.escape(
            "config error: --set expects PATH=VALUE, such as interpreter.damping=0.1, "
            f'found "{text}"'
        )
        + "$",
    ):
        parse_settings([text])


@pytest.mark.parametrize("text", ["a..b=3", ".a=3", "a.=3"])
def test_empty_part_of_a_path(text):
    with pytest.raises(
        ConfigError,
        match=re.escape(f'"{text}" has an empty part in its path; expected keys joined by "."')
        + "$",
    ):
        parse_settings([text])


def test_dotted_keys_and_list_indices():
    data = {"a": {"b": [{"c": 1}, {"c": 2}]}}
    assert settings(data, "a.b.1.c=5") == {"a": {"b": [{"c": 1}, {"c": 5}]}}
    assert settings(data, "a.b.-1=6", "a.b.0=7") == {"a": {"b": [7, 6]}}


def test_an_object_replaces_the_whole():
    assert overrides({"a": {"b": 1, "c": 2}}, "{a: {d: 3}}") == {"a": {"d": 3}}
    assert overrides({"a": {"b": 1, "c": 2}}, '{"a.b": 3}') == {"a": {"b": 3, "c": 2}}


def test_a_later_one_wins():
    assert settings({}, "a=1", "a=2") == {"a": 2}


def test_objects_on_the_way_are_made():
    assert settings({"n": None}, "a.b.c=1", "n.x=2") == {"a": {"b": {"c": 1}}, "n": {"x": 2}}


def test_bare_name_on_the_way_becomes_an_object():
    assert settings({"objective": "cross-entropy"}, "objective.reduction=sum") == {
        "objective": {"type": "cross-entropy", "reduction": "sum"}
    }


def test_paths_that_lead_nowhere_are_reported_all_at_once():
    with pytest.raises(ConfigError) as raised:
        settings(
            {"a": [1, 2], "e": [], "n": 3},
            "a.2=0",
            "a.x=0",
            "a.--1=0",
            "e.0=0",
            "n.b.c=0",
            "ok=1",
        )
    assert str(raised.value) == (
        "config error: 5 problems\n"
        '  a.2     no such item: expected an index from 0 to 1, found "2"   [from --set a.2=0]\n'
        '  a.x     no such item: expected an index from 0 to 1, found "x"   [from --set a.x=0]\n'
        '  a.--1   no such item: expected an index from 0 to 1, found "--1"   '
        "[from --set a.--1=0]\n"
        '  e.0     no such item: the list is empty, found "0"   [from --set e.0=0]\n'
        "  n.b     leads into 3 (int), which is no object and no list   [from --set n.b.c=0]"
    )


def test_overrides_may_be_jsonnet():
    assert overrides({}, "{local x = 2, a: x + 1, 'b.c': 'd'}") == {"a": 3, "b": {"c": "d"}}


def test_overrides_may_use_external_variables():
    options = JsonnetOptions(ext_str={"x": "1"}, tla_str={"y": "2"})
    assert evaluate_overrides("{a: std.extVar('x')}", options).value == {"a": "1"}


def test_overrides_that_are_no_object():
    with pytest.raises(
        ConfigError,
        match=r"^config error: -o expects an object with dotted paths as keys, "
        r"found \[1\] \(list\)$",
    ):
        overrides({}, "[1]")


def test_overrides_with_a_syntax_error():
    with pytest.raises(JsonnetError) as raised:
        overrides({}, "{a: [1 2]}")
    assert str(raised.value) == (
        "config error: -o:1:8: expected a comma before next array element\n"
        "      1 | {a: [1 2]}\n"
        "        |        ^"
    )


def test_overrides_with_a_key_twice():
    with pytest.raises(JsonnetError, match=r"^config error: -o:1:10: duplicate field: a\n"):
        overrides({}, '{"a": 1, "a": 2}')


def test_what_was_made_is_noted():
    data = {"a": {"b": [1]}}
    applied = apply_overrides(data, parse_settings(["a.b.-1=2", "a.c=3", "x.y.z=4"]))
    assert [(item.path, item.made) for item in applied] == [
        (("a", "b", "0"), ("a", "b", "0")),
        (("a", "c"), ("a", "c")),
        (("x", "y", "z"), ("x",)),
    ]
    assert applied[2].explains(("x",))
    assert not applied[2].explains(("a",))
