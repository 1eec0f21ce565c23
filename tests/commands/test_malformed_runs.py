"""Runs that cannot go well, and plugins that raise or give nonsense."""

from __future__ import annotations

from typing import Any

import pytest

REGRESSION = (
    "{ dataset_reader: 'diabetes', objective: 'mean-squared-error', model: 'linear-regression' } + "
)

RUNS: dict[str, dict[str, Any]] = {
    "steps that are far too large": {
        "ring": "{ trainer: { optimizer: { type: 'sgd', lr: 1e6 }, epochs: 30 }, "
        "model+: { activation: 'relu' } }",
        "begun": True,
        "stderr": (
            "training diverged: the loss is nan in epoch <...>, batch 1 of 1: the steps are "
            "probably too large, try a smaller lr, a scheduler with warmup_epochs, or "
            "gradient_clipping\n"
        ),
    },
    "a scale that is too small": {
        "ring": "{ interpreter: { type: 'simple-influence', scale: 1e-3, damping: 0.1, "
        "recursion_depth: { steps: 60 } } }",
        "begun": True,
        "stderr": ("LiSSA ran away within <...> steps at scale 0.001; try scale: <...>\n"),
    },
    "a pattern that matches nothing": {
        "ring": "{ interpreter+: { params_to_freeze: ['wieght'] } }",
        "stderr": (
            'params_to_freeze: "wieght" matches no parameter; there are: 0.weight, 0.bias, '
            "2.weight, 2.bias\n"
        ),
    },
    "a pattern that matches everything": {
        "ring": "{ interpreter+: { params_to_freeze: ['.'] } }",
        "stderr": (
            "no parameter is left: 4 of 4 are frozen by params_to_freeze=['.'], the others "
            "by requires_grad=False\n"
        ),
    },
    "an output that the model has not": {
        "ring": "{ measurement: { type: 'logit', index: 7 } }",
        "stderr": ('the measurement "logit" has index 7, but the model has 2 outputs, 0 to 1\n'),
    },
    "a measurement of classes where there are none": {
        "ring": REGRESSION + "{ measurement: 'margin' }",
        "stderr": (
            'the measurement "margin" needs classes, and the objective '
            '"mean-squared-error" has none; try the measurement "loss"\n'
        ),
    },
    "a reader that gives nothing": {
        "ring": "{ include: ['./plugin.py'], dataset_reader: 'gives-nothing' }",
        "files": {
            "plugin.py": "from hessinf import DatasetReader\n"
            "@DatasetReader.register('gives-nothing')\n"
            "class Mine(DatasetReader):\n"
            "    def read(self, path): return None\n"
        },
        "stderr": ('the reader "gives-nothing" gave a NoneType for "train", expected a Dataset\n'),
    },
    "a reader that gives no examples": {
        "ring": "{ include: ['./plugin.py'], dataset_reader: 'gives-none' }",
        "files": {
            "plugin.py": "from hessinf import Dataset, DatasetReader\n"
            "@DatasetReader.register('gives-none')\n"
            "class Mine(DatasetReader):\n"
            "    def read(self, path): return Dataset([])\n"
        },
        "stderr": ("data set: found no examples, expected at least one\n"),
    },
    "a method whose constructor raises": {
        "ring": "{ include: ['./plugin.py'], interpreter: 'raises-early' }",
        "files": {
            "plugin.py": "from hessinf import InfluenceInterpreter\n"
            "@InfluenceInterpreter.register('raises-early')\n"
            "class Mine(InfluenceInterpreter):\n"
            "    def __init__(self, *args, **kwargs):\n"
            "        raise KeyError('boom')\n"
        },
        "stderr": (
            "unexpected error: KeyError: 'boom' (<here>/plugin.py:5); --debug shows the traceback\n"
        ),
    },
    "a method that raises": {
        "ring": "{ include: ['./plugin.py'], interpreter: 'raises' }",
        "files": {
            "plugin.py": "from hessinf import InfluenceInterpreter\n"
            "@InfluenceInterpreter.register('raises')\n"
            "class Mine(InfluenceInterpreter):\n"
            "    def precondition(self, gradients):\n"
            "        raise KeyError('boom')\n"
        },
        "begun": True,
        "stderr": (
            "unexpected error: KeyError: 'boom' (<here>/plugin.py:5); --debug shows the traceback\n"
        ),
    },
    "a method that gives NaN": {
        "ring": "{ include: ['./plugin.py'], interpreter: 'gives-nan' }",
        "files": {
            "plugin.py": "from hessinf import InfluenceInterpreter\n"
            "@InfluenceInterpreter.register('gives-nan')\n"
            "class Mine(InfluenceInterpreter):\n"
            "    def precondition(self, gradients):\n"
            "        return gradients * float('nan')\n"
        },
        "begun": True,
        "stderr": (
            "the influence factors of query 0 among queries 0 to 3 are not finite; is "
            "damping too small, or the curvature singular?\n"
        ),
    },
    "a loss that adds its examples up": {
        "ring": "{ include: ['./plugin.py'], objective: 'mean-loss' }",
        "files": {
            "plugin.py": "from hessinf import Objective\n"
            "from hessinf.models import CrossEntropy\n"
            "@Objective.register('mean-loss')\n"
            "class Mine(CrossEntropy):\n"
            "    def losses(self, outputs, targets):\n"
            "        return super().losses(outputs, targets).mean()\n"
        },
        "stderr": (
            "the objective gives a tensor of shape [] for 4 examples; expected one loss an "
            "example, shape [4] (no mean or sum over the batch)\n"
        ),
    },
}


@pytest.mark.parametrize("name", RUNS)
def test_malformed_run(name, check_malformed):
    check_malformed(**{"status": 1, **RUNS[name]})
