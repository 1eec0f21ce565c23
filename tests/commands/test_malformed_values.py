"""Values of wrong types, out of bounds, or in contradiction: nothing is read or written."""

from __future__ import annotations

from typing import Any

import pytest

VALUES: dict[str, dict[str, Any]] = {
    "a text for a list": {
        "ring": "{ interpreter+: { params_to_freeze: 'bias' } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  interpreter.params_to_freeze   expected list[str that is a regular "
            'expression], found "bias" (str); did you mean ["bias"]?\n'
        ),
    },
    "a number for a list": {
        "ring": "{ model+: { hidden_sizes: 3 } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  model.hidden_sizes   expected list[int >= 1], found 3 (int); did you mean [3]?\n"
        ),
    },
    "a text for a whole number": {
        "ring": "{ top_k: '10' }",
        "stderr": (
            'config error: 1 problem in a.jsonnet\n  top_k   expected int, found "10" (str)\n'
        ),
    },
    "a truth value for a number": {
        "ring": "{ top_k: true }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n  top_k   expected int, found true (bool)\n"
        ),
    },
    "a number for a truth value": {
        "ring": "{ model+: { trust: 1 } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n  model.trust   expected bool, found 1 (int)\n"
        ),
    },
    "a fraction for a whole number": {
        "ring": "{ top_k: 2.5 }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n  top_k   expected int, found 2.5 (float)\n"
        ),
    },
    "a text for a number": {
        "ring": "{ trainer+: { weight_decay: '0.1' } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  trainer.weight_decay   expected float, found "0.1" (str)\n'
        ),
    },
    "null for a number": {
        "ring": "{ seed: null }",
        "stderr": ("config error: 1 problem in a.jsonnet\n  seed   expected int, found null\n"),
    },
    "a number for an object": {
        "ring": "{ interpreter: 3 }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  interpreter   expected InfluenceInterpreter, found 3 (int); write a "
            'registered name, or {"type": name, ...} (registered: <names of '
            "InfluenceInterpreter>)\n"
        ),
    },
    "a list for an object": {
        "ring": "{ data_loader: [8] }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  data_loader   expected DataLoader, found [8] (list); write an object with "
            "batch_size\n"
        ),
    },
    "none of the choices": {
        "ring": "{ scores: 'zar' }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  scores   expected one of "zarr" | null, found "zar" (str); did you mean "zarr"?\n'
        ),
    },
    "an unknown device": {
        "ring": "{ device: 'gpu' }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  device   expected str that is "auto", "cpu", "cuda" or "cuda:N", found '
            '"gpu" (str)\n'
        ),
    },
    "a device given twice": {
        "ring": "{ device: 'cpu', cuda_device: 0 }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  cuda_device   0 is given beside device "cpu"; give one of them\n'
        ),
    },
    "a GPU of a negative number": {
        "ring": "{ cuda_device: -2 }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  cuda_device   expected int >= -1, found -2 (int)\n"
        ),
    },
    "below a bound": {
        "ring": "{ top_k: 0 }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n  top_k   expected int >= 1, found 0 (int)\n"
        ),
    },
    "below a bound, inside": {
        "ring": "{ interpreter+: { damping: { relative: -0.1 } } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  interpreter.damping.relative   expected float > 0, found -0.1 (float)\n"
        ),
    },
    "a negative damping": {
        "ring": "{ interpreter+: { damping: -1 } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  interpreter.damping   expected float >= 0, found -1 (int)\n"
        ),
    },
    "a negative learning rate": {
        "ring": "{ trainer+: { optimizer: { type: 'sgd', lr: -1 } } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  trainer.optimizer.lr   expected float >= 0, found -1 (int)\n"
        ),
    },
    "above a bound": {
        "ring": "{ objective: { type: 'cross-entropy', label_smoothing: 2 } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  objective.label_smoothing   expected float between 0 and 1, found 2 (int)\n"
        ),
    },
    "a layer without units": {
        "ring": "{ model+: { hidden_sizes: [3, 0] } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  model.hidden_sizes.1   expected int >= 1, found 0 (int)\n"
        ),
    },
    "a number with more digits than Jsonnet has": {
        "ring": "{ seed: 1e17 }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  seed   expected int, found 1e+17 (float); Jsonnet's numbers lose digits "
            "from 2^53 on\n"
        ),
    },
    "a depth that is no depth": {
        "ring": "{ interpreter: { type: 'simple-influence', recursion_depth: 'half' } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  interpreter.recursion_depth   expected int >= 1 | float > 0 | str such as "
            '"25%" | Depth, found "half" (str)\n'
        ),
    },
    "no steps": {
        "ring": "{ interpreter: { type: 'simple-influence', recursion_depth: 0 } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  interpreter.recursion_depth   expected int >= 1 | float > 0 | str such as "
            '"25%" | Depth, found 0 (int)\n'
        ),
    },
    "a depth in steps and in epochs": {
        "ring": "{ interpreter: { type: 'simple-influence', "
        "recursion_depth: { steps: 3, epochs: 1 } } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  interpreter.recursion_depth   hessinf.interpreters.recursion_depth.Depth "
            'refused its arguments: recursion_depth takes either {"epochs": ...} or '
            '{"steps": ...}\n'
        ),
    },
    "no regular expression": {
        "ring": "{ interpreter+: { params_to_freeze: ['(', 'bias'] } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  interpreter.params_to_freeze.0   expected str that is a regular expression, "
            'found "(" (str)\n'
        ),
    },
    "arguments that contradict each other": {
        "ring": "{ dataset_reader+: { classes: 3 } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  dataset_reader   "synthetic" (hessinf.data.synthetic.Synthetic) refused its '
            "arguments: classes is 3, but ring has 2; leave it out, or use blobs\n"
        ),
    },
    "batch sizes that contradict each other": {
        "ring": "{ interpreter+: { batch_size: 3 }, data_loader: { batch_size: 5 } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  data_loader.batch_size   5 contradicts interpreter.batch_size 3; give one "
            "of them\n"
        ),
    },
    "a scheduler where no learning rate is": {
        "ring": "{ trainer+: { scheduler: 'cosine' } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  trainer   hessinf.training.trainer.Trainer refused its arguments: scheduler "
            "has no meaning for an optimizer that takes all examples at once and searches "
            "its own step lengths; leave it out\n"
        ),
    },
    "a constructor without a class": {
        "ring": "{ model: { type: 'module', constructor: 'torch.nn.Linear' } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  model   "module" (hessinf.models.module_model.ModuleModel) refused its '
            'arguments: constructor has to be "package.module:Class", found "torch.nn.Linear"\n'
        ),
    },
    "an encoding that Python does not know": {
        "table": "{ dataset_reader+: { encoding: 'utf-9' } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  dataset_reader   "csv" (hessinf.data.csv_reader.CsvReader) refused its '
            'arguments: encoding "utf-9" is not known to Python\n'
        ),
    },
    "a model for images without its channels": {
        "ring": "{ model: 'cnn' }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  model.channels   missing required argument of "cnn" '
            "(hessinf.models.cnn.Cnn), expected list[int >= 1]\n"
        ),
    },
    "a trainer for a trained model": {
        "ring": "{ model: { type: 'archive', path: 'archive' } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  trainer   the model comes from an archive, trained already; leave this out\n"
        ),
    },
    "nothing that trains the model": {
        "ring": "{ trainer: null }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  trainer   missing: the model would not be trained; give a trainer "
            '("trainer": {}), weights ("model.weights"), or an archive ("model": {"type": '
            '"archive", "path": ...})\n'
        ),
    },
}


@pytest.mark.parametrize("name", VALUES)
def test_malformed_value(name, check_malformed):
    check_malformed(status=2, **VALUES[name])
