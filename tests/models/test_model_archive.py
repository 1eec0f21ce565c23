"""The model archive: what survives it, and what is refused."""

from __future__ import annotations

import json
import re

import pytest
import torch
from torch import nn

from hessinf.models import ArchiveError, Mlp, ModelError, load_archive, save_archive

CONFIG = {
    "model": {"type": "mlp", "hidden_sizes": [4], "activation": "tanh"},
    "sizes": {"in_features": 3, "out_features": 2, "input_shape": [3], "seed": 0},
    "objective": "cross-entropy",
}
TRAINING = {"weight_decay": 0.01, "loss": 0.5}


@pytest.fixture
def trained() -> nn.Module:
    return Mlp([4], activation="tanh", in_features=3, out_features=2, seed=1).module


@pytest.fixture
def archive(tmp_path, trained):
    save_archive(tmp_path / "model", config=CONFIG, module=trained, training=TRAINING)
    return tmp_path / "model"


def edit(archive, **changes: object) -> None:
    path = archive / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_round_trip(archive, trained):
    assert sorted(path.name for path in archive.iterdir()) == [
        "config.json",
        "training.json",
        "weights.safetensors",
    ]
    loaded = load_archive(archive)
    assert loaded.config == CONFIG
    assert loaded.training == TRAINING
    assert not loaded.module.training
    for name, tensor in trained.state_dict().items():
        assert torch.equal(loaded.module.state_dict()[name], tensor)


def test_precision_survives(tmp_path, trained):
    trained[0].double()
    save_archive(tmp_path / "model", config=CONFIG, module=trained, training={})
    loaded = load_archive(tmp_path / "model").module
    assert loaded[0].weight.dtype == torch.float64
    assert loaded[2].weight.dtype == torch.float32
    assert torch.equal(loaded[0].weight, trained[0].weight)


def test_frozen_parameters_survive(tmp_path, trained):
    trained[0].weight.requires_grad_(False)
    save_archive(tmp_path / "model", config=CONFIG, module=trained, training={})
    loaded = load_archive(tmp_path / "model").module
    found = {name: parameter.requires_grad for name, parameter in loaded.named_parameters()}
    assert found == {"0.weight": False, "0.bias": True, "2.weight": True, "2.bias": True}


def test_buffers_and_non_contiguous_tensors_survive(tmp_path):
    module = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2, bias=False))
    module(torch.randn(8, 3))
    module[1].weight = nn.Parameter(torch.randn(3, 2).T)
    save_archive(tmp_path / "model", config={}, module=module, training={})
    other = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2, bias=False))
    load_archive(tmp_path / "model", module=other)
    for name, tensor in module.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)


class Tied(nn.Module):
    """An embedding whose weights are those of the output layer."""

    def __init__(self, tied: bool = True) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.output = nn.Linear(3, 5, bias=False)
        if tied:
            self.output.weight = self.embedding.weight


@pytest.mark.parametrize("tied_by_constructor", [True, False])
def test_shared_parameters_stay_shared(tmp_path, tied_by_constructor):
    module = Tied()
    save_archive(tmp_path / "model", config={}, module=module, training={})
    other = Tied(tied_by_constructor)
    load_archive(tmp_path / "model", module=other)
    assert other.output.weight is other.embedding.weight
    assert torch.equal(other.output.weight, module.output.weight)
    assert [name for name, _ in other.named_parameters()] == ["embedding.weight"]


def test_an_archive_is_replaced_whole(archive, trained):
    (archive / "left-over").touch()
    save_archive(archive, config=CONFIG, module=trained, training={"loss": 0.25})
    assert load_archive(archive).training == {"loss": 0.25}
    assert not (archive / "left-over").exists()


def test_the_file_that_training_started_from_may_be_gone(tmp_path, trained):
    config = {**CONFIG, "model": {**CONFIG["model"], "weights": "gone.pt", "trust": True}}
    save_archive(tmp_path / "model", config=config, module=trained, training={})
    assert torch.equal(load_archive(tmp_path / "model").module[0].weight, trained[0].weight)


def test_a_model_from_an_archive_is_archived_by_itself(tmp_path, archive, trained):
    config = {**CONFIG, "model": {"type": "archive", "path": str(archive)}}
    save_archive(tmp_path / "second", config=config, module=trained, training={})
    loaded = load_archive(tmp_path / "second")
    assert loaded.config == CONFIG


def test_functions_are_called_only_with_trust(tmp_path):
    recipe = {"type": "module", "constructor": "copy:copy", "arguments": {"x": 3}, "trust": True}
    config = {"model": recipe, "sizes": {}}
    save_archive(tmp_path / "model", config=config, module=nn.Linear(1, 1), training={})
    with pytest.raises(ModelError, match=r"^copy:copy is no torch\.nn\.Module class"):
        load_archive(tmp_path / "model")
    with pytest.raises(ModelError, match=r"^copy:copy gave a int"):
        load_archive(tmp_path / "model", trust=True)


def test_no_archive(tmp_path):
    message = (
        f'there is no model archive "{tmp_path / "none"}": it has to be a directory; '
        "paths are relative to the working directory"
    )
    with pytest.raises(ArchiveError, match=f"^{re.escape(message)}$"):
        load_archive(tmp_path / "none")


@pytest.mark.parametrize("name", ["config.json", "training.json"])
def test_missing_description(archive, name):
    (archive / name).unlink()
    message = (
        f'the model archive "{archive}" has no {name}; an archive is a directory with config.json, '
        "weights.safetensors and training.json"
    )
    with pytest.raises(ArchiveError, match=f"^{re.escape(message)}$"):
        load_archive(archive)


def test_missing_weights(archive):
    (archive / "weights.safetensors").unlink()
    message = f'the model archive "{archive}" has no weights.safetensors'
    with pytest.raises(ArchiveError, match=f"^{re.escape(message)}$"):
        load_archive(archive)


def test_broken_json(archive):
    (archive / "training.json").write_text("{")
    with pytest.raises(ArchiveError, match=f'^"{archive}/training.json" is no JSON: '):
        load_archive(archive)
    (archive / "training.json").write_text("[]")
    message = f'"{archive}/training.json" holds a list, expected an object'
    with pytest.raises(ArchiveError, match=f"^{re.escape(message)}$"):
        load_archive(archive)


def test_newer_format(archive):
    edit(archive, format_version=2)
    message = (
        f'the model archive "{archive}" has format version 2, and this hessinf reads up to 1; '
        "install a newer hessinf"
    )
    with pytest.raises(ArchiveError, match=f"^{re.escape(message)}$"):
        load_archive(archive)


def test_another_format(archive):
    edit(archive, format="something else")
    message = (
        f'"{archive}/config.json" is not of a model archive: it has no "format": "hessinf-model" '
        "with a version; give the directory that training wrote"
    )
    with pytest.raises(ArchiveError, match=f"^{re.escape(message)}$"):
        load_archive(archive)


def test_incomplete_description(archive):
    edit(archive, tied=None)
    message = f'"{archive}/config.json" has no "tied" of the right kind'
    with pytest.raises(ArchiveError, match=f"^{re.escape(message)}$"):
        load_archive(archive)


def test_corrupted_weights(archive):
    path = archive / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    message = (
        f'the model archive "{archive}" cannot be loaded: the weights file "{path}" cannot be read '
        "as safetensors: "
    )
    with pytest.raises(ArchiveError, match=f"^{re.escape(message)}"):
        load_archive(archive)


def test_weights_that_do_not_fit(archive):
    config = {**CONFIG, "model": {"type": "mlp", "hidden_sizes": [5]}}
    edit(archive, config=config)
    with pytest.raises(ArchiveError, match=re.escape("0.bias is [4] in the file, [5] in the mod")):
        load_archive(archive)


def test_tied_to_nothing(archive):
    edit(archive, tied={"2.bias": "absent"})
    message = (
        f"the model archive \"{archive}\" cannot be loaded: weights.safetensors lacks 'absent', "
        "with which other parameters are shared"
    )
    with pytest.raises(ArchiveError, match=f"^{re.escape(message)}$"):
        load_archive(archive)


def test_no_recipe(tmp_path, trained):
    save_archive(tmp_path / "model", config={}, module=trained, training={})
    message = (
        f'the model archive "{tmp_path / "model"}" does not say how to build its network; pass a '
        "module of the right shape: load_archive(directory, module=...)"
    )
    with pytest.raises(ArchiveError, match=f"^{re.escape(message)}$"):
        load_archive(tmp_path / "model")


def test_what_is_no_json_is_refused(tmp_path, trained):
    with pytest.raises(ArchiveError, match=r"config and training have to be JSON$"):
        save_archive(tmp_path / "model", config={}, module=trained, training={"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_state_that_is_no_tensor_is_refused(tmp_path):
    class Stateful(nn.Linear):
        def get_extra_state(self) -> dict:
            return {"calls": 3}

    message = (
        'the module\'s state "_extra_state" is a dict, and an archive holds only tensors; keep it '
        "in a buffer (register_buffer)"
    )
    with pytest.raises(ArchiveError, match=f"^{re.escape(message)}$"):
        save_archive(tmp_path / "model", config={}, module=Stateful(1, 1), training={})
