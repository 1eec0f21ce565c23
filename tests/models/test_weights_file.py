"""Files of weights."""

from __future__ import annotations

import re

import pytest
import safetensors.torch
import torch
from torch import nn

from hessinf.models import ModelError
from hessinf.models.weights_file import load_weights, read_weights


def network(width: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 1))


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.ckpt", "w.safetensors"])
def test_round_trip(tmp_path, name):
    source, target = network(), network()
    if name.endswith(".safetensors"):
        safetensors.torch.save_file(source.state_dict(), tmp_path / name)
    else:
        torch.save(source.state_dict(), tmp_path / name)
    load_weights(target, tmp_path / name)
    for left, right in zip(source.parameters(), target.parameters(), strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_state_dicts_beside_an_optimizers_state(tmp_path, key):
    source, target = network(), network()
    torch.save({key: source.state_dict(), "epoch": 3}, tmp_path / "w.pt")
    load_weights(target, tmp_path / "w.pt")
    assert torch.equal(source[0].weight, target[0].weight)


def test_whole_modules_need_trust(tmp_path):
    source, target = network(), network()
    path = tmp_path / "w.pt"
    torch.save(source, path)
    message = (
        f'the weights file "{path}" holds more than tensors, and loading it would run code from '
        'the file; save a state dict instead, or say "trust": true if you trust the file as you '
        "trust a program"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        load_weights(target, path)
    load_weights(target, path, trust=True)
    assert torch.equal(source[0].weight, target[0].weight)


def test_weights_that_do_not_fit(tmp_path):
    path = tmp_path / "w.pt"
    state = {**network(width=4).state_dict(), "extra": torch.zeros(1)}
    del state["2.bias"]
    torch.save(state, path)
    message = (
        f'the weights in "{path}" do not fit the model:\n'
        "  missing in the file: 2.bias\n"
        "  unknown to the model: extra\n"
        "  of another shape: 0.weight is [4, 2] in the file, [3, 2] in the model, "
        "0.bias is [4] in the file, [3] in the model, "
        "2.weight is [1, 4] in the file, [1, 3] in the model\n"
        "  correct the model's arguments, or choose the weights that belong to it"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        load_weights(network(), path)


def test_weights_that_are_not_finite(tmp_path):
    path = tmp_path / "w.pt"
    state = network().state_dict()
    state["2.weight"][0, 1] = float("nan")
    torch.save(state, path)
    message = (
        f'the weights in "{path}" hold NaN or infinity: 2.weight; did training diverge? choose an '
        "earlier checkpoint"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        load_weights(network(), path)


def test_buffers_may_be_infinite(tmp_path):
    module = network()
    module.register_buffer("mask", torch.tensor([0.0, float("-inf")]))
    torch.save(module.state_dict(), tmp_path / "w.pt")
    load_weights(module, tmp_path / "w.pt")


def test_long_lists_are_counted(tmp_path):
    path = tmp_path / "w.pt"
    torch.save({f"x{i}": torch.zeros(1) for i in range(8)}, path)
    with pytest.raises(ModelError, match="unknown to the model: x0, x1, x2, x3, x4 and 3 more"):
        load_weights(network(), path)


def test_missing_file(tmp_path):
    path = tmp_path / "w.pt"
    message = (
        f'the weights file "{path}" does not exist; paths are relative to the working directory'
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        read_weights(path)
    (tmp_path / "w.pth").write_bytes(b"")
    message = f'the weights file "{path}" does not exist; did you mean "w.pth"?'
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        read_weights(path)
    message = (
        f'the weights file "{tmp_path}" is a directory; a model archive is {{"type": "archive", '
        '"path": ...}'
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        read_weights(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None], ids=["empty", "text", "cut"])
def test_unreadable_checkpoints(tmp_path, content):
    path = tmp_path / "w.pt"
    torch.save(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    start = f'the weights file "{path}" cannot be read as a PyTorch checkpoint: '
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith("; it may be incomplete or of another kind")


def test_unreadable_safetensors(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"abc")
    message = f'the weights file "{path}" cannot be read as safetensors: '
    with pytest.raises(ModelError, match=f"^{re.escape(message)}.*; it may be incomplete"):
        read_weights(path)


def test_what_is_no_state_dict(tmp_path):
    path = tmp_path / "w.pt"
    torch.save([1, 2], path)
    message = (
        f'the weights file "{path}" holds a list that is no state dict; save `module.state_dict()`'
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        read_weights(path)
