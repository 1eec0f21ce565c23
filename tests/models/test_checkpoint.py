"""Checkpoints: files and archives with weights for a network that is there already."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from hessinf.models import ArchiveError, ModelError, save_archive
from hessinf.models.checkpoint import checkpoint_weights, load_checkpoint


def network(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)).to(dtype)


@pytest.mark.parametrize("form", ["file", "archive", "run"])
@pytest.mark.parametrize(
    ("kept", "own"), [(torch.float32, torch.float64), (torch.float64, torch.float32)]
)
def test_precision_and_frozen_parameters_are_the_networks(
    form: str, kept: torch.dtype, own: torch.dtype, tmp_path: Path
) -> None:
    source, target = network(kept), network(own)
    source[0].weight.requires_grad_(False)
    target[2].bias.requires_grad_(False)
    path = tmp_path / "checkpoint"
    if form == "file":
        torch.save(source.state_dict(), path)
    else:
        inside = path / "model" if form == "run" else path
        save_archive(inside, config={}, module=source, training={})
    load_checkpoint(target, path)
    for left, right in zip(source.parameters(), target.parameters(), strict=True):
        assert right.dtype == own
        torch.testing.assert_close(left.to(own), right, rtol=0, atol=0)
    assert [value.requires_grad for value in target.parameters()] == [True, True, True, False]


def test_shared_parameters_stay_shared(tmp_path: Path) -> None:
    def tied() -> nn.Sequential:
        module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        module[1].weight = module[0].weight
        return module

    source, target = tied(), tied()
    save_archive(tmp_path / "archive", config={}, module=source, training={})
    load_checkpoint(target, tmp_path / "archive")
    assert target[1].weight is target[0].weight
    assert torch.equal(target[0].weight, source[0].weight)


def test_where_the_weights_lie(tmp_path: Path) -> None:
    assert checkpoint_weights(tmp_path / "a.pt") == tmp_path / "a.pt"
    assert checkpoint_weights(tmp_path) == tmp_path / "weights.safetensors"
    save_archive(tmp_path / "model", config={}, module=network(), training={})
    assert checkpoint_weights(str(tmp_path)) == tmp_path / "model" / "weights.safetensors"


def test_what_runs_code_is_refused_without_a_way_round(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(network(), path)
    message = (
        f'the weights file "{path}" holds more than tensors, and loading it would run code from '
        "the file; save a state dict instead"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        load_checkpoint(network(), path)


def test_directories_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"has no config\.json; an archive is a directory with"):
        load_checkpoint(network(), tmp_path)


def test_weights_of_another_network(tmp_path: Path) -> None:
    save_archive(tmp_path / "archive", config={}, module=nn.Linear(2, 2), training={})
    with pytest.raises(ArchiveError, match="do not fit the model"):
        load_checkpoint(network(), tmp_path / "archive")
