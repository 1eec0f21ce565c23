"""What a config says of a run."""

from __future__ import annotations

import dataclasses
import json

import pytest

from hessinf.commands.run_config import DataLoader, RunConfig, load_checked_config
from hessinf.registry import ConfigError, Problem, docstring
from hessinf.registry.errors import PluginError


def test_every_key_is_explained():
    for kind in (RunConfig, DataLoader):
        names = [field.name for field in dataclasses.fields(kind)]
        assert list(docstring.parameters(kind.__doc__)) == names


@pytest.mark.parametrize(
    ("settings", "device"),
    [
        ([], "auto"),
        (["cuda_device=-1"], "cpu"),
        (["cuda_device=0"], "cuda:0"),
        (["cuda_device=3"], "cuda:3"),
        (["device=cuda"], "cuda"),
        (["device=cuda:12"], "cuda:12"),
    ],
)
def test_devices(workplace, settings, device):
    checked = load_checked_config("a.jsonnet", settings=settings)
    assert checked.build().device == device


def test_defaults_are_what_is_documented(workplace):
    config = load_checked_config("a.jsonnet").build()
    assert (config.top_k, config.seed, config.scores, config.device) == (10, 0, None, "auto")
    assert config.data_loader == DataLoader("auto")
    assert config.test_dataset_reader is None
    assert config.weight_decay is config.training_reduction is None


def test_a_seed_that_no_generator_takes(workplace):
    with pytest.raises(ConfigError, match="seed   expected int >= 0 and <= 18446744073709551615"):
        load_checked_config("a.jsonnet", settings=["seed=18446744073709551616"])


def test_the_default_interpreter(workplace):
    (workplace / "b.jsonnet").write_text(
        "{ [key]: (import 'ring.libsonnet')[key] for key in "
        "std.objectFields(import 'ring.libsonnet') if key != 'interpreter' }"
    )
    assert load_checked_config("b.jsonnet").resolved()["interpreter"]["type"] == "simple-influence"


def test_built_anew_each_time(workplace):
    checked = load_checked_config("a.jsonnet")
    assert checked.build().dataset_reader is not checked.build().dataset_reader


def test_resolved_is_json(workplace):
    resolved = load_checked_config("a.jsonnet").resolved()
    assert json.loads(json.dumps(resolved)) == resolved


def test_all_contradictions_at_once(workplace):
    settings = [
        "device=cpu",
        "cuda_device=0",
        'model={"type": "archive", "path": "x"}',
        "interpreter.batch_size=3",
        "data_loader.batch_size=5",
        "dataset_reader.classes=3",
    ]
    with pytest.raises(ConfigError) as caught:
        load_checked_config("a.jsonnet", settings=settings)
    assert [problem.path for problem in caught.value.problems] == ["dataset_reader"]
    with pytest.raises(ConfigError) as caught:
        load_checked_config("a.jsonnet", settings=settings[:-1])
    assert [(problem.path, problem.origin) for problem in caught.value.problems] == [
        ("cuda_device", "--set cuda_device=0"),
        ("trainer", None),
        ("data_loader.batch_size", "--set data_loader.batch_size=5"),
    ]


def test_equal_batch_sizes_do_not_contradict(workplace):
    settings = ["interpreter.batch_size=5", "data_loader.batch_size=5"]
    assert load_checked_config("a.jsonnet", settings=settings).build().data_loader.batch_size == 5


class TestNamingSource:
    def test_adds_file_and_origin(self, workplace):
        checked = load_checked_config("a.jsonnet", settings=["seed=3"])
        with pytest.raises(ConfigError) as caught, checked.naming_source():
            raise ConfigError([Problem("seed", "is odd"), Problem("top_k", "is even")])
        assert str(caught.value) == (
            "config error: 2 problems in a.jsonnet\n"
            "  seed    is odd   [from --set seed=3]\n"
            "  top_k   is even"
        )

    def test_leaves_what_names_its_place_alone(self, workplace):
        checked = load_checked_config("a.jsonnet")
        for error in (ConfigError("x", "b.jsonnet"), PluginError("y")):
            with pytest.raises(ConfigError) as caught, checked.naming_source():
                raise error
            assert caught.value is error


def test_included_plugins_are_found_beside_the_config(workplace):
    (workplace / "project").mkdir()
    (workplace / "project/mine.py").write_text(
        "from hessinf import InfluenceInterpreter\n"
        "@InfluenceInterpreter.register('beside')\n"
        "class Mine(InfluenceInterpreter): ...\n"
    )
    (workplace / "project/b.jsonnet").write_text(
        "(import '../ring.libsonnet') + { include: ['./mine.py'], interpreter: 'beside' }"
    )
    checked = load_checked_config("project/b.jsonnet")
    assert checked.resolved()["interpreter"]["type"] == "beside"
