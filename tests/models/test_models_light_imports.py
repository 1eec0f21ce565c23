"""Configs of models are checked without PyTorch."""

from __future__ import annotations

import subprocess
import sys


def test_models_are_configured_without_heavy_imports():
    script = (
        "import sys\n"
        "from hessinf.models import Measurement, Model, Objective\n"
        "for base in (Objective, Measurement):\n"
        "    for name in base.list_available():\n"
        "        base.from_config(name)\n"
        "for name in ('logistic-regression', 'linear-regression'):\n"
        "    Model.from_config(name)\n"
        "for config in ({'type': 'mlp', 'hidden_sizes': [3]}, {'type': 'cnn', 'channels': [3]},\n"
        "               {'type': 'archive', 'path': 'x'},\n"
        "               {'type': 'module', 'constructor': 'torch.nn:Linear'}):\n"
        "    Model.from_config(config)\n"
        "heavy = ('torch', 'numpy', 'sklearn', 'safetensors')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
