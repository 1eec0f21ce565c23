"""Configs that are no Jsonnet, and keys and names that nobody knows."""

from __future__ import annotations

from typing import Any

import pytest

IMPORTS_RING = "(import 'ring.libsonnet') + "

TEXTS: dict[str, dict[str, Any]] = {
    "syntax": {
        "files": {"a.jsonnet": "{\n  seed: 0\n  device: 'cpu',\n}\n"},
        "stderr": (
            "config error: a.jsonnet:3:3: expected a comma before next field\n"
            "      3 |   device: 'cpu',\n"
            "        |   ^\n"
        ),
    },
    "nothing at all": {
        "files": {"a.jsonnet": ""},
        "stderr": (
            "config error: a.jsonnet:1:1: unexpected end of file\n      1 | \n        | ^\n"
        ),
    },
    "an error of its own": {
        "files": {"a.jsonnet": IMPORTS_RING + "{ seed: error 'choose a seed' }"},
        "stderr": (
            "config error: a.jsonnet:1:37: choose a seed\n"
            "      1 | (import 'ring.libsonnet') + { seed: error 'choose a seed' }\n"
            "        |                                     ^\n"
        ),
    },
    "files that import each other": {
        "files": {"a.jsonnet": "import 'b.jsonnet'", "b.jsonnet": "import 'a.jsonnet'"},
        "stderr": (
            "config error: b.jsonnet:1:1: max stack frames exceeded; these files import "
            "each other in a circle: a.jsonnet -> b.jsonnet -> a.jsonnet\n"
            "      1 | import 'a.jsonnet'\n"
            "        | ^\n"
        ),
    },
    "a file that imports itself": {
        "files": {"a.jsonnet": "(import 'a.jsonnet') + {}"},
        "stderr": (
            "config error: a.jsonnet:1:2: max stack frames exceeded; these files import "
            "each other in a circle: a.jsonnet -> a.jsonnet\n"
            "      1 | (import 'a.jsonnet') + {}\n"
            "        |  ^\n"
        ),
    },
    "an import of nothing": {
        "files": {"a.jsonnet": "(import 'rign.libsonnet') + {}"},
        "stderr": (
            'config error: a.jsonnet:1:2: couldn\'t open import "rign.libsonnet": no file '
            "rign.libsonnet; looked beside the importing file and in the library paths "
            "(-J: none given)\n"
            "      1 | (import 'rign.libsonnet') + {}\n"
            "        |  ^\n"
        ),
    },
    "an import of a directory": {
        "files": {"a.jsonnet": "import 'lib'", "lib/b.jsonnet": "{}"},
        "stderr": (
            'config error: a.jsonnet:1:1: couldn\'t open import "lib": no file lib; looked '
            "beside the importing file and in the library paths (-J: none given)\n"
            "      1 | import 'lib'\n"
            "        | ^\n"
        ),
    },
    "an external variable that is not given": {
        "files": {"a.jsonnet": IMPORTS_RING + "{ seed: std.extVar('seed') }"},
        "stderr": (
            "config error: a.jsonnet:1:37: undefined external variable: seed; give it with "
            "--ext-str seed=VALUE or --ext-code seed=CODE\n"
            "      1 | (import 'ring.libsonnet') + { seed: std.extVar('seed') }\n"
            "        |                                     ^\n"
        ),
    },
    "a top-level argument that is not given": {
        "files": {"a.jsonnet": "function(damping) {}"},
        "stderr": (
            "config error: a.jsonnet: function parameter damping not bound in call; give "
            "it with --tla-str damping=VALUE or --tla-code damping=CODE\n"
        ),
    },
    "a list at the top": {
        "files": {"a.jsonnet": "[1, 2]"},
        "stderr": ("config error: a.jsonnet: expected an object at the top, found [1, 2] (list)\n"),
    },
    "a text at the top": {
        "files": {"a.jsonnet": "'digits'"},
        "stderr": (
            'config error: a.jsonnet: expected an object at the top, found "digits" (str)\n'
        ),
    },
    "a function as a value": {
        "files": {"a.jsonnet": IMPORTS_RING + "{ seed: function(x) x }"},
        "stderr": (
            "config error: a.jsonnet:1:37: couldn't manifest function in JSON output\n"
            "      1 | (import 'ring.libsonnet') + { seed: function(x) x }\n"
            "        |                                     ^\n"
        ),
    },
    "a number that is too large": {
        "files": {"a.jsonnet": "{ seed: 1e308 * 10 }"},
        "stderr": (
            "config error: a.jsonnet:1:9: overflow\n"
            "      1 | { seed: 1e308 * 10 }\n"
            "        |         ^\n"
        ),
    },
    "a key twice": {
        "files": {"a.jsonnet": "{ seed: 0, seed: 1 }"},
        "stderr": (
            "config error: a.jsonnet:1:12: duplicate field: seed\n"
            "      1 | { seed: 0, seed: 1 }\n"
            "        |            ^\n"
        ),
    },
    "not UTF-8": {
        "files": {"a.jsonnet": b"{ seed: '\xff' }"},
        "stderr": ("config error: a.jsonnet is no UTF-8 text (byte 9), expected a Jsonnet file\n"),
    },
    "not text": {
        "files": {"a.jsonnet": b"{ \x00 }"},
        "stderr": (
            "config error: a.jsonnet is no text (byte 2 is zero), expected a Jsonnet file\n"
        ),
    },
}

KEYS: dict[str, dict[str, Any]] = {
    "a typo in a key at the top": {
        "ring": "{ intepreter: 'exact' }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  intepreter   unknown argument of the config; did you mean "interpreter"?\n'
            "               accepts: <keys>\n"
        ),
    },
    "a typo in an argument of the interpreter": {
        "ring": "{ interpreter+: { dampning: 0.1 } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  interpreter.dampning   unknown argument of "exact" '
            '(hessinf.interpreters.exact.Exact); did you mean "damping"?\n'
            "                         accepts: <arguments of InfluenceInterpreter exact>\n"
        ),
    },
    "a typo in an argument of the model": {
        "ring": "{ model+: { hiden_sizes: [3] } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  model.hiden_sizes   unknown argument of "mlp" (hessinf.models.mlp.Mlp); did '
            'you mean "hidden_sizes"?\n'
            "                      accepts: <arguments of Model mlp>\n"
        ),
    },
    "a typo two levels down": {
        "ring": "{ trainer+: { optimizer: { type: 'sgd', momentun: 0.9 } } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  trainer.optimizer.momentun   unknown argument of "sgd" '
            '(hessinf.training.gradient_optimizers.Sgd); did you mean "momentum"?\n'
            "                               accepts: <arguments of Optimizer sgd>\n"
        ),
    },
    "a typo inside a reader inside a reader": {
        "ring": "{ dataset_reader: { type: 'noisy-labels', rate: 0.1, reader: "
        "ring.dataset_reader + { tain_size: 1 } } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  dataset_reader.reader.tain_size   unknown argument of "synthetic" '
            '(hessinf.data.synthetic.Synthetic); did you mean "train_size"?\n'
            "                                    accepts: <arguments of DatasetReader "
            "synthetic>\n"
        ),
    },
    "a typo in what says how deep to recurse": {
        "ring": "{ interpreter: { type: 'simple-influence', recursion_depth: { step: 5 } } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  interpreter.recursion_depth.step   unknown argument of "
            'hessinf.interpreters.recursion_depth.Depth; did you mean "steps"?\n'
            "                                     accepts: epochs, steps\n"
        ),
    },
    "a typo in the data loader": {
        "ring": "{ data_loader: { batchsize: 8 } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  data_loader.batchsize   unknown argument of "
            'hessinf.commands.run_config.DataLoader; did you mean "batch_size"?\n'
            "                          accepts: batch_size\n"
        ),
    },
    "a name that is not registered": {
        "ring": "{ interpreter+: { type: 'exakt' } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  interpreter.type   no InfluenceInterpreter is registered as "exakt"; did '
            'you mean "exact"?\n'
            "                     registered: <names of InfluenceInterpreter>\n"
            "                     <plugins>\n"
        ),
    },
    "a bare name that is not registered": {
        "ring": "{ model: 'mpl' }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  model.type   no Model is registered as "mpl"; did you mean "mlp"?\n'
            "               registered: <names of Model>\n"
            "               <plugins>\n"
        ),
    },
    "a name that nothing is close to": {
        "ring": "{ objective: 'zzz' }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  objective.type   no Objective is registered as "zzz"\n'
            "                   registered: <names of Objective>\n"
            "                   <plugins>\n"
        ),
    },
    "a name of another catalogue": {
        "ring": "{ measurement: 'mlp' }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  measurement.type   no Measurement is registered as "mlp"\n'
            "                     registered: <names of Measurement>\n"
            "                     <plugins>\n"
        ),
    },
    "a name that is a number": {
        "ring": "{ interpreter: { type: 3 } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  interpreter.type   expected the name of an InfluenceInterpreter, found 3 (int)\n"
        ),
    },
    "a class of a module that is not there": {
        "ring": "{ interpreter: { type: 'nowhere.Method' } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  interpreter.type   cannot find "nowhere.Method": there is no module '
            '"nowhere"; is its folder on PYTHONPATH, or its package installed?\n'
        ),
    },
    "a class that is none of its kind": {
        "ring": "{ interpreter: { type: 'json.JSONDecoder' } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  interpreter.type   "json.JSONDecoder" is no InfluenceInterpreter: expected '
            "a subclass of hessinf.interpreters.influence_interpreter.InfluenceInterpreter\n"
        ),
    },
    "required keys that are missing": {
        "files": {"a.jsonnet": "{ objective: 'cross-entropy' }"},
        "stderr": (
            "config error: 3 problems in a.jsonnet\n"
            "  dataset_reader    missing required argument of the config, expected "
            "DatasetReader\n"
            "  train_data_path   missing required argument of the config, expected str\n"
            "  model             missing required argument of the config, expected Model\n"
        ),
    },
    "a required argument that is missing": {
        "ring": "{ dataset_reader: 'csv' }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  dataset_reader.target   missing required argument of "csv" '
            "(hessinf.data.csv_reader.CsvReader), expected str\n"
        ),
    },
    "an argument that the program passes": {
        "ring": "{ model+: { in_features: 3 } }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  model.in_features   the program passes this argument to "mlp" '
            "(hessinf.models.mlp.Mlp); leave it out, found 3 (int)\n"
        ),
    },
    "no queries": {
        "ring": "{ test_data_path: null }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  test_data_path   missing: which examples are the queries?\n"
        ),
    },
    "three mistakes": {
        "ring": "{ interpreter+: { dampning: 0.1 }, model+: { hidden_sizes: [64, '64'] }, "
        "top_k: 0 }",
        "stderr": (
            "config error: 3 problems in a.jsonnet\n"
            '  model.hidden_sizes.1   expected int, found "64" (str)\n'
            '  interpreter.dampning   unknown argument of "exact" '
            '(hessinf.interpreters.exact.Exact); did you mean "damping"?\n'
            "                         accepts: <arguments of InfluenceInterpreter exact>\n"
            "  top_k                  expected int >= 1, found 0 (int)\n"
        ),
    },
}

CASES = {**TEXTS, **KEYS}


@pytest.mark.parametrize("name", CASES)
def test_malformed_config(name, check_malformed):
    check_malformed(status=2, **CASES[name])
