"""What all models share: seeds, precisions, sizes, weights."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from hessinf.models import Mlp, Model, ModelError
from hessinf.registry import ConfigError


def mlp(**keywords: object) -> Mlp:
    sizes = {"in_features": 3, "out_features": 2, **keywords}
    return Mlp([4], **sizes)


def test_names():
    assert sorted(Model.list_available()) == [
        "archive",
        "cnn",
        "linear-regression",
        "logistic-regression",
        "mlp",
        "module",
        "text-classifier",
    ]


def test_module_is_built_once_and_does_not_move_the_callers_random_numbers():
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    model = mlp(seed=1)
    first = model.module
    assert model.module is first
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not first.training


def test_the_same_seed_gives_the_same_weights():
    weights = [mlp(seed=seed).module[0].weight for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_precisions_start_from_the_same_weights():
    single = mlp(seed=1, dtype="float32").module
    double = mlp(seed=1, dtype="float64").module
    for left, right in zip(single.parameters(), double.parameters(), strict=True):
        assert right.dtype == torch.float64
        assert torch.equal(left.double(), right)


def test_sizes_rebuild_the_module():
    model = mlp(seed=5, input_shape=(3, 1))
    assert model.sizes == {
        "in_features": 3,
        "out_features": 2,
        "input_shape": [3, 1],
        "seed": 5,
    }
    again = Model.from_config({"type": "mlp", "hidden_sizes": [4]}, **model.sizes)
    assert torch.equal(again.module[0].weight, model.module[0].weight)


def test_weights_are_read(tmp_path):
    source = mlp(seed=1, dtype="float64").module
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    model = mlp(seed=2, dtype="float64", weights=str(tmp_path / "weights.pt"))
    assert torch.equal(model.module[0].weight, source[0].weight)


def test_missing_sizes():
    message = (
        'the model "mlp" needs inputs that are one tensor of a known size, and these are not (a '
        "dict of tensors, perhaps); pass in_features, or take a model made for such inputs: "
        '{"type": "module", "constructor": "package.module:Class"}'
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        _ = mlp(in_features=None).module
    message = (
        'the model "mlp" does not know how many outputs it needs; pass out_features, or build it '
        "with the objective's `out_features(dataset)`"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        _ = mlp(out_features=None).module


def test_sizes_are_no_business_of_configs():
    with pytest.raises(ConfigError, match="in_features"):
        Model.from_config({"type": "mlp", "hidden_sizes": [4], "in_features": 3})


def test_a_model_of_ones_own_is_named_by_its_class():
    class Doubling(Model):
        def build(self) -> nn.Module:
            return nn.Linear(self.required_in_features(), 1)

    with pytest.raises(ModelError, match="the model Doubling needs inputs that are one tensor"):
        _ = Doubling().module
    assert Doubling(in_features=2).module.weight.shape == (1, 2)
