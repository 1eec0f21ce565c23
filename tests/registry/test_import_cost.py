"""The registry must be light: configs are checked without the libraries that runs need."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, sys
before = set(sys.modules)
import hessinf.registry
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_only_the_standard_library_is_imported():
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    ).stdout
    roots = {name.partition(".")[0] for name in json.loads(output)}
    foreign = roots - set(sys.stdlib_module_names) - {"hessinf"}
    assert not foreign


def test_slow_modules_of_the_standard_library_wait():
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    ).stdout
    slow = {"hashlib", "importlib.metadata", "pkgutil", "traceback", "difflib", "argparse"}
    assert not slow & set(json.loads(output))


def test_reading_a_config_needs_jsonnet_only(tmp_path):
    file = tmp_path / "a.jsonnet"
    file.write_text("{a: 1}")
    program = (
        "import sys; from hessinf.registry import load_config; "
        f"print(load_config({str(file)!r}).data, "
        "sorted({'torch', 'numpy', 'sklearn', 'pyarrow', '_jsonnet'} & set(sys.modules)))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert output == "{'a': 1} ['_jsonnet']\n"
