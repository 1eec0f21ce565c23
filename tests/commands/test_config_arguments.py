"""Arguments that commands with a config share."""

from __future__ import annotations

import argparse

import pytest

from hessinf.commands.config_arguments import (
    add_config_arguments,
    add_run_arguments,
    load_run_config,
)
from hessinf.registry import ConfigError


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_config_arguments(parser)
    add_run_arguments(parser)
    return parser.parse_args(["a.jsonnet", "-s", "out", *words])


def test_defaults():
    arguments = parse()
    assert arguments.config == "a.jsonnet"
    assert arguments.directory == "out"
    assert (arguments.force, arguments.resume, arguments.device) == (False, False, None)
    assert arguments.settings == arguments.library_paths == arguments.ext_str == []


@pytest.mark.parametrize(
    ("words", "device"),
    [
        ([], "auto"),
        (["--device", "cpu"], "cpu"),
        (["--device", "cuda:1"], "cuda:1"),
        (["--set", "device=cpu", "--device", "cuda"], "cuda"),
        (["-o", '{"device": "cpu"}'], "cpu"),
    ],
)
def test_device(workplace, words, device):
    assert load_run_config(parse(*words)).build().device == device


def test_an_empty_device_is_refused(workplace):
    with pytest.raises(ConfigError, match=r'device   expected str .*, found "" \(str\)'):
        load_run_config(parse("--device", ""))


@pytest.mark.parametrize(
    ("option", "value"),
    [("--ext-str", "a"), ("--ext-code", "=1"), ("--tla-str", "a"), ("--tla-code", "")],
)
def test_pairs(workplace, option, value):
    with pytest.raises(ConfigError) as caught:
        load_run_config(parse(option, value))
    assert str(caught.value) == f'config error: {option} expects NAME=VALUE, found "{value}"'


def test_values_may_hold_the_separator(workplace):
    (workplace / "a.jsonnet").write_text(
        "(import 'ring.libsonnet') + { train_data_path: std.extVar('path') }"
    )
    assert load_run_config(parse("--ext-str", "path=a=b")).build().train_data_path == "a=b"
    assert load_run_config(parse("--ext-str", "path=")).build().train_data_path == ""
