"""A user's own network."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from hessinf.models import Model, ModelError, ModuleModel
from hessinf.registry import ConfigError

SOURCE = """
from torch import nn

class Shaped(nn.Module):
    def __init__(self, input_shape, width=4):
        super().__init__()
        self.input_shape, self.layer = input_shape, nn.Linear(width, 1)

class Broken(nn.Module):
    def __init__(self):
        raise RuntimeError("no weights today")

def make():
    return nn.Linear(2, 2)

def make_nothing():
    return 3
"""


@pytest.fixture
def own_networks(tmp_path, monkeypatch):
    (tmp_path / "own_networks.py").write_text(SOURCE)
    (tmp_path / "own_broken.py").write_text("import a_package_that_is_not_there\n")
    (tmp_path / "own_raising.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_sizes_are_passed_to_those_who_ask():
    config = {"type": "module", "constructor": "torch.nn:Linear", "arguments": {"bias": False}}
    model = Model.from_config(config, in_features=3, out_features=2, seed=7)
    torch.manual_seed(7)
    assert torch.equal(model.module.weight, nn.Linear(3, 2, bias=False).weight)


def test_arguments_go_before_sizes():
    arguments = {"in_features": 5, "out_features": 4}
    model = ModuleModel("torch.nn:Linear", arguments, in_features=3, out_features=2)
    assert model.module.weight.shape == (4, 5)


@pytest.mark.usefixtures("own_networks")
def test_own_class():
    model = ModuleModel("own_networks:Shaped", {"width": 6}, input_shape=(2, 3))
    assert model.module.input_shape == (2, 3)
    assert model.module.layer.weight.shape == (1, 6)


@pytest.mark.usefixtures("own_networks")
def test_functions_need_trust():
    message = (
        'own_networks:make is no torch.nn.Module class; name a class, or say "trust": true for a '
        "function that returns a module"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        _ = ModuleModel("own_networks:make").module
    assert isinstance(ModuleModel("own_networks:make", trust=True).module, nn.Linear)


@pytest.mark.usefixtures("own_networks")
@pytest.mark.parametrize(
    ("constructor", "arguments", "message"),
    [
        (
            "nowhere.networks:Net",
            {},
            'there is no module "nowhere" for the constructor "nowhere.networks:Net"; install its '
            "package, or put its folder on PYTHONPATH",
        ),
        (
            "own_networks:Absent",
            {},
            '"own_networks" has no "Absent", which the constructor "own_networks:Absent" names',
        ),
        (
            "own_broken:Net",
            {},
            'importing "own_broken" for the model "module" failed: ModuleNotFoundError: No module '
            "named 'a_package_that_is_not_there'",
        ),
        (
            "own_raising:Net",
            {},
            'importing "own_raising" for the model "module" failed: ZeroDivisionError: division by '
            "zero",
        ),
        (
            "own_networks:Broken",
            {},
            "own_networks:Broken() failed: RuntimeError: no weights today",
        ),
        (
            "own_networks:Shaped",
            {"height": 3, "input_shape": [1]},
            "own_networks:Shaped(height=3, input_shape=[1]) failed: TypeError: Shaped.__init__() "
            "got an unexpected keyword argument 'height'",
        ),
    ],
)
def test_errors(constructor, arguments, message):
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        _ = ModuleModel(constructor, arguments).module


@pytest.mark.usefixtures("own_networks")
def test_a_function_that_returns_no_module():
    message = "own_networks:make_nothing gave a int, expected a torch.nn.Module"
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        _ = ModuleModel("own_networks:make_nothing", trust=True).module


def test_constructor_without_colon():
    message = 'constructor has to be "package.module:Class", found "torch.nn.Linear"'
    with pytest.raises(ConfigError, match=re.escape(message)):
        Model.from_config({"type": "module", "constructor": "torch.nn.Linear"})
