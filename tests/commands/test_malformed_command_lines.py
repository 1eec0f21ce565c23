"""Wrong options, overrides, directories and plugins."""

from __future__ import annotations

from typing import Any

import pytest

RUN = '{"hessinf": "0.1.0"}'

OVERRIDES: dict[str, dict[str, Any]] = {
    "--set without a value": {
        "options": "--set seed",
        "stderr": (
            "config error: --set expects PATH=VALUE, such as interpreter.damping=0.1, "
            'found "seed"\n'
        ),
    },
    "--set without a path": {
        "options": "--set =3",
        "stderr": (
            'config error: --set expects PATH=VALUE, such as interpreter.damping=0.1, found "=3"\n'
        ),
    },
    "--set with a hole in its path": {
        "options": "--set a..b=1",
        "stderr": (
            'config error: "a..b=1" has an empty part in its path; expected keys joined by "."\n'
        ),
    },
    "--set of an unknown key": {
        "options": "--set interpreter.dampning=1",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  interpreter.dampning   unknown argument of "exact" '
            '(hessinf.interpreters.exact.Exact); did you mean "damping"?   [from --set '
            "interpreter.dampning=1]\n"
            "                         accepts: <arguments of InfluenceInterpreter exact>\n"
        ),
    },
    "--set past the end of a list": {
        "options": "--set model.hidden_sizes.4=3",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            "  model.hidden_sizes.4   no such item: expected an index from 0 to 0, found "
            '"4"   [from --set model.hidden_sizes.4=3]\n'
        ),
    },
    "--set of a text where a number belongs": {
        "options": "--set seed=abc",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  seed   expected int, found "abc" (str)   [from --set seed=abc]\n'
        ),
    },
    "--set of an unknown name": {
        "options": "--set interpreter=exakt",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  interpreter.type   no InfluenceInterpreter is registered as "exakt"; did '
            'you mean "exact"?   [from --set interpreter=exakt]\n'
            "                     registered: <names of InfluenceInterpreter>\n"
            "                     <plugins>\n"
        ),
    },
    "--set into a number": {
        "options": "--set seed.x=1",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  seed   expected int, found {"x": 1} (dict)   [from --set seed.x=1]\n'
        ),
    },
    "-o that ends early": {
        "options": "-o '{'",
        "stderr": (
            "config error: -o:1:2: unexpected: end of file while parsing field definition\n"
            "      1 | {\n"
            "        |  ^\n"
        ),
    },
    "-o that is a list": {
        "options": "-o '[1]'",
        "stderr": (
            "config error: -o expects an object with dotted paths as keys, found [1] (list)\n"
        ),
    },
    "-o of an unknown key": {
        "options": "-o '{\"top_kk\": 1}'",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  top_kk   unknown argument of the config; did you mean "top_k"?   [from -o '
            "top_kk]\n"
            "           accepts: <keys>\n"
        ),
    },
    "-o that raises": {
        "options": "-o '{seed: error \"none\"}'",
        "stderr": (
            'config error: -o:1:8: none\n      1 | {seed: error "none"}\n        |        ^\n'
        ),
    },
    "--ext-str without a value": {
        "options": "--ext-str seed",
        "stderr": ('config error: --ext-str expects NAME=VALUE, found "seed"\n'),
    },
    "--tla-code that is no code": {
        "options": "--tla-code a=",
        "stderr": (
            "config error: --tla-code a:1:1: unexpected end of file\n      1 | \n        | ^\n"
        ),
    },
    "-J of no directory": {
        "options": "-J nowhere",
        "stderr": ('config error: -J: there is no directory "nowhere"\n'),
    },
    "--device of no device": {
        "options": "--device gpu",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  device   expected str that is "auto", "cpu", "cuda" or "cuda:N", found '
            '"gpu" (str)   [from --set device=gpu]\n'
        ),
    },
    "--device of a GPU that is not there": {
        "options": "--device cuda:97",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  device   "cuda:97" asks for a GPU, and PyTorch sees none here; use "cpu" or '
            '"auto"   [from --set device=cuda:97]\n'
        ),
    },
    "a plugin that is not there": {
        "options": "--include-package nowhere_else",
        "stderr": (
            'plugin error: cannot find the plugin "nowhere_else" (from --include-package); '
            "is it installed, or its folder the working directory or on PYTHONPATH?\n"
        ),
    },
    "a plugin file that is not there": {
        "options": "--include-package ./p.py",
        "stderr": (
            'plugin error: cannot find the plugin file "./p.py" (from --include-package): '
            "expected a .py file, or a folder with an __init__.py; looked in: <here>\n"
        ),
    },
}

PLUGINS: dict[str, dict[str, Any]] = {
    "a plugin that raises": {
        "ring": "{ include: ['./plugin.py'] }",
        "files": {"plugin.py": "import json\n\nraise RuntimeError('boom')\n"},
        "stderr": (
            'plugin error: "./plugin.py" (from include in a.jsonnet) failed: '
            "<here>/plugin.py:3: RuntimeError: boom\n"
        ),
    },
    "a plugin that is no Python": {
        "ring": "{ include: ['./plugin.py'] }",
        "files": {"plugin.py": "def f(:\n"},
        "stderr": (
            'plugin error: "./plugin.py" (from include in a.jsonnet) failed: '
            "<here>/plugin.py:1: SyntaxError: invalid syntax\n"
        ),
    },
    "a plugin that imports what is not there": {
        "ring": "{ include: ['./plugin.py'] }",
        "files": {"plugin.py": "import nowhere_at_all\n"},
        "stderr": (
            'plugin error: "./plugin.py" (from include in a.jsonnet) failed: '
            "<here>/plugin.py:1: ModuleNotFoundError: No module named 'nowhere_at_all'\n"
        ),
    },
    "a plugin that ends the program": {
        "ring": "{ include: ['./plugin.py'] }",
        "files": {"plugin.py": "import sys\nsys.exit(3)\n"},
        "stderr": (
            'plugin error: "./plugin.py" (from include in a.jsonnet) failed: '
            "<here>/plugin.py:2: SystemExit: 3\n"
        ),
    },
    "a plugin with a name that is none": {
        "ring": "{ include: ['./plugin.py'] }",
        "files": {
            "plugin.py": "from hessinf import InfluenceInterpreter\n"
            "@InfluenceInterpreter.register('My Method')\n"
            "class Mine(InfluenceInterpreter): ...\n"
        },
        "stderr": (
            'plugin error: "./plugin.py" (from include in a.jsonnet) failed: '
            '<here>/plugin.py:2: registration error: cannot register "My Method": a name '
            'is kebab-case, lower-case letters and digits joined by "-"; try "my-method"\n'
        ),
    },
    "a plugin that lacks a method": {
        "ring": "{ include: ['./plugin.py'], dataset_reader: 'half-done' }",
        "files": {
            "plugin.py": "from hessinf import DatasetReader\n"
            "@DatasetReader.register('half-done')\n"
            "class Mine(DatasetReader): ...\n"
        },
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  dataset_reader   "half-done" (plugin.Mine) is abstract: it does not define read\n'
        ),
    },
    "an include that is not there": {
        "ring": "{ include: ['nowhere_else'] }",
        "stderr": (
            'plugin error: cannot find the plugin "nowhere_else" (from include in '
            "a.jsonnet); is it installed, or its folder the working directory or on PYTHONPATH?\n"
        ),
    },
    "an include that is no list": {
        "ring": "{ include: './plugin.py' }",
        "stderr": (
            "config error: 1 problem in a.jsonnet\n"
            '  include   expected list[str], found "./plugin.py" (str)\n'
        ),
    },
    "a list of plugins with one that is not there": {
        "ring": "{}",
        "files": {".hessinf_plugins": "# of our group\nnowhere_else\n"},
        "stderr": (
            'plugin error: cannot find the plugin "nowhere_else" (from '
            ".hessinf_plugins:2); is it installed, or its folder the working directory or "
            "on PYTHONPATH?\n"
        ),
    },
}

CASES = {**OVERRIDES, **PLUGINS}


@pytest.mark.parametrize("name", CASES)
def test_malformed_option(name, check_malformed):
    check_malformed(status=2, **CASES[name])
