from __future__ import annotations

import hashlib

import pytest

from hessinf.registry import ConfigError, JsonnetOptions, Problem, load_config


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "a.jsonnet"
    file.write_text("{a: {b: 1}, c: [1, {d: 2}]}")
    return file


def test_a_config(file):
    config = load_config(file)
    assert config.data == {"a": {"b": 1}, "c": [1, {"d": 2}]}
    assert config.source == str(file)
    assert config.overrides == ()
    assert config.imports == {str(file): hashlib.sha256(file.read_bytes()).hexdigest()}


def test_settings_win_over_overrides(file):
    config = load_config(file, overrides="{'a.b': 2, c: []}", settings=["a.b=3"])
    assert config.data == {"a": {"b": 3}, "c": []}
    assert [override.origin for override in config.overrides] == ["-o a.b", "-o c", "--set a.b=3"]


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("a", None),
        ("a.b", "--set a.b=3"),
        ("a.b.x", "--set a.b=3"),
        ("c.1.d", "--set c.-1.d=5"),
        ("c.0", None),
        ("z", "-o z.y"),
        ("z.y", "-o z.y"),
        ("", None),
    ],
)
def test_origin(file, path, origin):
    config = load_config(file, overrides="{'z.y': 2}", settings=["a.b=3", "c.-1.d=5"])
    assert config.origin(path) == origin
    assert config.with_origin(Problem(path, "x")).origin == origin


def test_an_origin_that_is_known_stays(file):
    config = load_config(file, settings=["a.b=3"])
    assert config.with_origin(Problem("a.b", "x", origin="y")).origin == "y"


def test_what_overrides_read_is_recorded(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HESSINF_TEST", "1")
    (tmp_path / "b.libsonnet").write_text("7")
    text = "{a: import 'b.libsonnet', c: std.native('env')('HESSINF_TEST', '')}"
    config = load_config(file, overrides=text)
    assert config.data == {"a": 7, "c": "1"}
    assert list(config.imports) == [str(file), "b.libsonnet"]
    assert config.environment == {"HESSINF_TEST": "1"}


@pytest.mark.parametrize(
    ("text", "found"), [("[1, 2]", "[1, 2] (list)"), ("'a'", '"a" (str)'), ("null", "null")]
)
def test_the_top_level_must_be_an_object(tmp_path, text, found):
    file = tmp_path / "b.jsonnet"
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load_config(file)
    assert str(raised.value) == (
        f"config error: {file}: expected an object at the top, found {found}"
    )


def test_problems_of_overrides_name_the_file(file):
    with pytest.raises(ConfigError) as raised:
        load_config(file, settings=["c.5=1"])
    assert str(raised.value) == (
        f"config error: 1 problem in {file}\n"
        '  c.5   no such item: expected an index from 0 to 1, found "5"   [from --set c.5=1]'
    )


def test_options_reach_the_file(tmp_path):
    file = tmp_path / "b.jsonnet"
    file.write_text("function(x) {a: x, b: std.extVar('y')}")
    options = JsonnetOptions(tla_str={"x": "1"}, ext_code={"y": "2"})
    assert load_config(file, options, overrides="{c: 3}").data == {"a": "1", "b": 2, "c": 3}


def test_the_hash_is_of_what_the_config_says(file, tmp_path):
    other = tmp_path / "b.jsonnet"
    other.write_text("local x = 1; {c: [x, {d: 2 * x}], a: {b: x}}")
    assert load_config(file).sha256() == load_config(other).sha256()
    assert load_config(file).sha256() != load_config(file, settings=["a.b=2"]).sha256()
    assert len(load_config(file).sha256()) == 64
