"""What a run imports, and what it leaves to do when its process ends."""

from __future__ import annotations

import atexit
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hessinf.commands.main import main
from hessinf.models import Model

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys
import torch
already = set(sys.modules)
from hessinf.commands.main import main
status = main(sys.argv[1:])
heavy = {"sympy", "torch._dynamo", "torch._inductor", "scipy", "pandas", "sklearn"}
print(sorted(heavy & (sys.modules.keys() - already)))
sys.exit(status)
"""


@pytest.mark.parametrize("interpreter", ["gradient-dot", "ekfac", "ggn", "exact"])
def test_a_run_of_a_trained_model_imports_what_it_needs(workplace, interpreter):
    import torch

    sizes = {"in_features": 64, "out_features": 10}
    model = Model.from_config({"type": "mlp", "hidden_sizes": [4]}, **sizes)
    torch.save(model.module.state_dict(), "weights.pt")
    reader = {"type": "digits", "train_size": 40}
    config = {
        "dataset_reader": reader,
        "test_dataset_reader": {"type": "subset", "reader": reader, "size": 1, "paths": None},
        "train_data_path": "train",
        "test_data_path": "test",
        "model": {"type": "mlp", "hidden_sizes": [4], "weights": "weights.pt"},
        "objective": "cross-entropy",
        "interpreter": interpreter,
    }
    Path("small.json").write_text(json.dumps(config))
    words = [sys.executable, "-c", PROGRAM, "interpret", "small.json", "-s", "out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_nothing_is_collected_when_the_program_ends(monkeypatch):
    registered = []
    monkeypatch.setattr(atexit, "register", registered.append)
    assert main(["--version"]) == 0
    assert registered == []  # in somebody else's process
    monkeypatch.setattr(sys, "argv", ["hessinf", "--version"])
    assert main() == 0
    assert registered == [gc.freeze]
