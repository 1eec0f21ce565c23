"""A model from an archive."""

from __future__ import annotations

import re

import pytest
import torch

from hessinf.models import ArchiveModel, Mlp, Model, ModelError, save_archive


@pytest.fixture
def archive(tmp_path):
    trained = Mlp([4], dtype="float64", in_features=3, out_features=2, seed=1)
    config = {
        "model": {"type": "mlp", "hidden_sizes": [4], "dtype": "float64"},
        "sizes": trained.sizes,
    }
    save_archive(
        tmp_path / "model", config=config, module=trained.module, training={"weight_decay": 0.5}
    )
    return tmp_path / "model", trained.module


def test_from_config(archive):
    path, trained = archive
    model = Model.from_config(
        {"type": "archive", "path": str(path)}, in_features=3, out_features=2, input_shape=(3,)
    )
    assert isinstance(model, ArchiveModel)
    for left, right in zip(model.module.parameters(), trained.parameters(), strict=True):
        assert torch.equal(left, right)
        assert left.dtype == torch.float64
    assert model.training == {"weight_decay": 0.5}


def test_the_directory_of_a_run(archive):
    path, trained = archive
    (path.parent / "config.json").write_text("{}")
    module = ArchiveModel(str(path.parent)).module
    assert torch.equal(module[0].weight, trained[0].weight)


def test_another_precision(archive):
    path, trained = archive
    module = ArchiveModel(str(path), dtype="float32").module
    assert torch.equal(module[0].weight, trained[0].weight.float())


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ({"in_features": 30}, "with 3 inputs, and the data here need 30"),
        ({"in_features": 3, "out_features": 5}, "with 2 outputs, and the data here need 5"),
    ],
)
def test_data_of_other_sizes(archive, sizes, text):
    message = (
        f'the model archive "{archive[0]}" was trained {text}; take the data that it was trained '
        "on, or train a model on these"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        _ = ArchiveModel(str(archive[0]), **sizes).module
