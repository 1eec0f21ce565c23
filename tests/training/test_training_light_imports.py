"""Configs of trainers are checked without PyTorch."""

from __future__ import annotations

import subprocess
import sys


def test_trainers_are_configured_without_heavy_imports():
    script = (
        "import sys\n"
        "from hessinf.training import EarlyStopping, Optimizer, Scheduler, Trainer\n"
        "for name in Optimizer.list_available():\n"
        "    more = {'name': 'SGD'} if name == 'torch-optim' else {}\n"
        "    Optimizer.from_config({'type': name, **more})\n"
        "for name in Scheduler.list_available():\n"
        "    more = {'milestones': [3]} if name == 'step' else {}\n"
        "    Scheduler.from_config({'type': name, **more})\n"
        "Trainer(early_stopping=EarlyStopping())\n"
        "print([name for name in ('torch', 'numpy', 'sklearn') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
