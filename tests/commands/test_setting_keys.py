"""What ``--set`` may name, by the schema of configs and what the config says."""

from __future__ import annotations

from typing import Any

import pytest

from hessinf.commands.catalogues import all_catalogues
from hessinf.commands.run_config import DEFAULT_OBJECTS, RunConfig
from hessinf.commands.setting_keys import SettingKeys
from hessinf.registry.schema import json_schema

CONFIG: dict[str, Any] = {
    "dataset_reader": {"type": "noisy-labels", "reader": {"type": "csv", "target": "y"}},
    "model": "logistic-regression",
    "trainer": {"optimizer": {"type": "sgd"}},
    "interpreter": {"type": "ekfac"},
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema(RunConfig, "hessinf config")


@pytest.fixture(scope="module")
def keys(schema: dict[str, Any]) -> SettingKeys:
    return SettingKeys(schema, CONFIG)


def test_keys_of_the_top(keys):
    assert {path for path in keys.paths() if "." not in path} == set(RunConfig.__dataclass_fields__)


@pytest.mark.parametrize(
    "path",
    [
        "interpreter.type",
        "interpreter.damping",
        "interpreter.damping.relative",
        "interpreter.samples",
        "dataset_reader.reader.target",
        "trainer.optimizer.momentum",
        "data_loader.batch_size",
        "model.weights",
    ],
)
def test_arguments_of_what_the_config_names(keys, path):
    assert keys.paths()[path]


@pytest.mark.parametrize(
    "path",
    ["interpreter.recursion_depth", "model.hidden_sizes", "trainer.optimizer.history_size"],
)
def test_arguments_of_others_are_none(keys, path):
    assert path not in keys.paths()


def test_without_a_config_defaults_say_which(schema):
    paths = SettingKeys(schema, DEFAULT_OBJECTS).paths()
    assert "interpreter.recursion_depth" in paths
    assert "seed" in paths
    assert "model.hidden_sizes" not in paths


def test_every_path_is_one_that_set_takes(keys):
    assert all(path and not path.startswith(".") and "=" not in path for path in keys.paths())
    assert len(keys.paths()) < 250


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("self_influence", ["auto", "true", "false"]),
        ("scores", ["zarr", "null"]),
        ("training_reduction", ["mean", "sum", "mean-fixed", "null"]),
        ("interpreter.weight_sharing", ["expand", "reduce"]),
        ("seed", []),
        ("interpreter.nothing", []),
        ("nothing.at.all", []),
        ("", []),
    ],
)
def test_values(keys, path, values):
    assert keys.values(path) == values


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("interpreter", "InfluenceInterpreter"),
        ("interpreter.type", "InfluenceInterpreter"),
        ("trainer.optimizer.type", "Optimizer"),
        ("dataset_reader.reader.type", "DatasetReader"),
        ("objective", "Objective"),
    ],
)
def test_registered_names(keys, path, base):
    available = all_catalogues()[base].list_available()
    assert sorted(value for value in keys.values(path) if value != "null") == sorted(available)


def test_a_type_that_is_not_known_has_no_keys(schema):
    paths = SettingKeys(schema, {"interpreter": {"type": "mine.Method"}}).paths()
    assert not any(path.startswith("interpreter.") for path in paths)


@pytest.mark.parametrize("odd", [3, [], None, "", {"type": 3}, {"type": None}])
def test_odd_configs(schema, odd):
    assert "seed" in SettingKeys(schema, {"interpreter": odd, "trainer": odd}).paths()
