"""Weights, archives and networks that cannot be used: found before training begins."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hessinf.models import Model, save_archive

NET = {"type": "mlp", "hidden_sizes": [3], "activation": "tanh"}
SIZES = {"in_features": 2, "out_features": 2, "input_shape": (2,), "seed": 0}
ARCHIVE = "{ model: { type: 'archive', path: 'archive' }, trainer: null }"
WEIGHTS = "{ model+: { weights: 'w.pt' } }"
OWN_NETWORK = "{ model: { type: 'module', constructor: 'network:Net' } }"


def network() -> torch.nn.Module:
    module: torch.nn.Module = Model.from_config(NET, **SIZES).module
    return module


def checkpoint(content: object) -> Callable[[Path], None]:
    return lambda path: torch.save(content, path)


def spoilt(path: Path) -> None:
    state = network().state_dict()
    state["0.weight"][0, 0] = float("nan")
    torch.save(state, path)


def archive(
    *, lacking: str | None = None, cut: str | None = None, training: Any = None, **said: Any
) -> Callable[[Path], None]:
    """Make an archive of which something is wrong."""

    def make(path: Path) -> None:
        config = {"model": NET, "sizes": SIZES}
        save_archive(path, config=config, module=network(), training=training or {})
        file = path / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **said}))
        if lacking is not None:
            (path / lacking).unlink()
        if cut is not None:
            content = (path / cut).read_bytes()
            (path / cut).write_bytes(content[: len(content) // 2])

    return make


def network_of(body: str) -> dict[str, str]:
    """A file with a network whose forward pass is ``body``."""
    lines = (
        "import torch",
        "class Net(torch.nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        "        self.linear = torch.nn.Linear(2, 2)",
        "    def forward(self, x):",
        f"        {body}",
    )
    return {"network.py": "\n".join(lines) + "\n"}


MODELS: dict[str, dict[str, Any]] = {
    "no weights file": {
        "ring": WEIGHTS,
        "stderr": (
            'the weights file "w.pt" does not exist; paths are relative to the working directory\n'
        ),
    },
    "a directory for weights": {
        "ring": WEIGHTS,
        "files": {"w.pt/config.json": "{}"},
        "stderr": (
            'the weights file "w.pt" is a directory; a model archive is {"type": '
            '"archive", "path": ...}\n'
        ),
    },
    "corrupt weights": {
        "ring": WEIGHTS,
        "files": {"w.pt": b"PK\x03\x04abc"},
        "stderr": (
            'the weights file "w.pt" cannot be read as a PyTorch checkpoint: <...>; it may '
            "be incomplete or of another kind\n"
        ),
    },
    "weights of other shapes": {
        "ring": WEIGHTS,
        "files": {"w.pt": checkpoint({"0.weight": torch.zeros(3, 4), "1.bias": torch.zeros(3)})},
        "stderr": (
            'the weights in "w.pt" do not fit the model:\n'
            "  missing in the file: 0.bias, 2.weight, 2.bias\n"
            "  unknown to the model: 1.bias\n"
            "  of another shape: 0.weight is [3, 4] in the file, [3, 2] in the model\n"
            "  correct the model's arguments, or choose the weights that belong to it\n"
        ),
    },
    "a checkpoint that needs trust": {
        "ring": WEIGHTS,
        "files": {"w.pt": checkpoint(torch.nn.Linear(2, 2))},
        "stderr": (
            'the weights file "w.pt" holds more than tensors, and loading it would run '
            'code from the file; save a state dict instead, or say "trust": true if you '
            "trust the file as you trust a program\n"
        ),
    },
    "a checkpoint without a state dict": {
        "ring": WEIGHTS,
        "files": {"w.pt": checkpoint([1, 2])},
        "stderr": (
            'the weights file "w.pt" holds a list that is no state dict; save '
            "`module.state_dict()`\n"
        ),
    },
    "half a safetensors file": {
        "ring": WEIGHTS.replace("w.pt", "w.safetensors"),
        "files": {"w.safetensors": b"\x10\x00\x00\x00\x00\x00\x00\x00{}"},
        "stderr": (
            'the weights file "w.safetensors" cannot be read as safetensors: <...>; it may '
            "be incomplete, copy it again\n"
        ),
    },
    "NaN in the weights": {
        "ring": WEIGHTS,
        "files": {"w.pt": spoilt},
        "stderr": (
            'the weights in "w.pt" hold NaN or infinity: 0.weight; did training diverge? '
            "choose an earlier checkpoint\n"
        ),
    },
    "no archive": {
        "ring": ARCHIVE,
        "stderr": (
            'there is no model archive "archive": it has to be a directory; paths are '
            "relative to the working directory\n"
        ),
    },
    "a file for an archive": {
        "ring": ARCHIVE,
        "files": {"archive": ""},
        "stderr": (
            'there is no model archive "archive": it has to be a directory, and this is a file\n'
        ),
    },
    "a directory that is no archive": {
        "ring": ARCHIVE,
        "files": {"archive/readme.txt": ""},
        "stderr": (
            'the model archive "archive" has no config.json; an archive is a directory '
            "with config.json, weights.safetensors and training.json\n"
        ),
    },
    "an archive without weights": {
        "ring": ARCHIVE,
        "files": {"archive": archive(lacking="weights.safetensors")},
        "stderr": ('the model archive "archive" has no weights.safetensors\n'),
    },
    "an archive without its record": {
        "ring": ARCHIVE,
        "files": {"archive": archive(lacking="training.json")},
        "stderr": (
            'the model archive "archive" has no training.json; an archive is a directory '
            "with config.json, weights.safetensors and training.json\n"
        ),
    },
    "an archive with half its weights": {
        "ring": ARCHIVE,
        "files": {"archive": archive(cut="weights.safetensors")},
        "stderr": (
            'the model archive "archive" cannot be loaded: the weights file '
            '"archive/weights.safetensors" cannot be read as safetensors: <...>; it may be '
            "incomplete, copy it again\n"
        ),
    },
    "an archive with half its config": {
        "ring": ARCHIVE,
        "files": {"archive": lambda path: (path.mkdir(), (path / "config.json").write_text("{"))},
        "stderr": (
            '"archive/config.json" is no JSON: Expecting property name enclosed in double '
            "quotes: line 1 column 2 (char 1)\n"
        ),
    },
    "an archive of a newer format": {
        "ring": ARCHIVE,
        "files": {"archive": archive(format_version=2)},
        "stderr": (
            'the model archive "archive" has format version 2, and this hessinf reads up '
            "to 1; install a newer hessinf\n"
        ),
    },
    "an archive of something else": {
        "ring": ARCHIVE,
        "files": {"archive": archive(format="zip")},
        "stderr": (
            '"archive/config.json" is not of a model archive: it has no "format": '
            '"hessinf-model" with a version; give the directory that training wrote\n'
        ),
    },
    "an archive of a model of other sizes": {
        "ring": ARCHIVE + " + { dataset_reader+: { features: 5 } }",
        "files": {"archive": archive()},
        "stderr": (
            'the model archive "archive" was trained with 2 inputs, and the data here need '
            "5; take the data that it was trained on, or train a model on these\n"
        ),
    },
    "a module that is not there": {
        "ring": "{ model: { type: 'module', constructor: 'nowhere:Net' } }",
        "stderr": (
            'there is no module "nowhere" for the constructor "nowhere:Net"; install its '
            "package, or put its folder on PYTHONPATH\n"
        ),
    },
    "a class that is not there": {
        "ring": "{ model: { type: 'module', constructor: 'torch.nn:Linera' } }",
        "stderr": ('"torch.nn" has no "Linera", which the constructor "torch.nn:Linera" names\n'),
    },
    "a function that is no module": {
        "ring": "{ model: { type: 'module', constructor: 'os:getcwd' } }",
        "stderr": (
            'os:getcwd is no torch.nn.Module class; name a class, or say "trust": true for '
            "a function that returns a module\n"
        ),
    },
    "arguments that a network does not take": {
        "ring": "{ model: { type: 'module', constructor: 'torch.nn:Linear', "
        "arguments: { in_size: 2 } } }",
        "stderr": (
            "torch.nn:Linear(in_features=2, out_features=2, in_size=2) failed: TypeError: <...>\n"
        ),
    },
    "a network for other inputs": {
        "ring": "{ model: { type: 'module', constructor: 'torch.nn:Linear', "
        "arguments: { in_features: 7 } } }",
        "stderr": (
            'the model "module" fails on the training data, whose inputs have shape [2]: '
            "RuntimeError: <...>; does it fit the data? --debug shows the traceback\n"
        ),
    },
    "a network that raises": {
        "ring": OWN_NETWORK,
        "files": network_of("raise RuntimeError('boom')"),
        "stderr": (
            'the model "module" fails on the training data, whose inputs have shape [2]: '
            "RuntimeError: boom; does it fit the data? --debug shows the traceback\n"
        ),
    },
    "a network that adds its examples up": {
        "ring": OWN_NETWORK,
        "files": network_of("return self.linear(x).sum()"),
        "stderr": (
            'the objective "cross-entropy" needs outputs [..., classes] with one target '
            "for each: found outputs [] and targets [2]; classes are the last axis of the "
            "outputs\n"
        ),
    },
    "images wanted, a table found": {
        "ring": "{ model: { type: 'cnn', channels: [4] } }",
        "stderr": (
            'the model "cnn" needs images [channels, height, width] as inputs, and these '
            'have shape [2]; take a dataset reader that gives images, or the model "mlp"\n'
        ),
    },
    "what contradicts the record of training": {
        "ring": ARCHIVE + " + { weight_decay: 0.2 }",
        "files": {"archive": archive(training={"weight_decay": 0.1})},
        "status": 2,
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  weight_decay   0.2 contradicts the record of training, 0.1; leave it out\n"
        ),
    },
    "examples that depend on each other": {
        "ring": OWN_NETWORK,
        "files": network_of("return self.linear(x - x.mean(0))"),
        "stderr": (
            "the loss of training example 0 depends on the other examples of its batch "
            "(<...> alone, <...> beside others); does the model or the loss normalise over "
            "the batch, or look at padding?\n"
        ),
    },
}


@pytest.mark.parametrize("name", MODELS)
def test_malformed_model(name, check_malformed):
    check_malformed(**{"status": 1, **MODELS[name]})
