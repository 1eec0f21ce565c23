"""Plugins that cannot be imported: exit status 2, their file and line, no traceback."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

BROKEN = {
    "raising": ("import math\n\nvalue = math.sqrt(-1)\n", 3, "ValueError: "),
    "syntax": ("value = 1\ndef broken(:\n", 2, "SyntaxError: invalid syntax"),
    "importing": ("import surely_not_there\n", 1, "ModuleNotFoundError: No module named 'surely_"),
    "exiting": ("import sys\nsys.exit('no GPU here')\n", 2, "SystemExit: no GPU here"),
    "wrong-name": (
        "from hessinf.data import DatasetReader\n\n\n@DatasetReader.register('Wrong Name')\n"
        "class Reader(DatasetReader):\n    pass\n",
        4,
        "registration error: ",
    ),
    "taken-name": (
        "from hessinf.data import DatasetReader\n\n\n@DatasetReader.register('digits')\n"
        "class Reader(DatasetReader):\n    pass\n",
        4,
        "registration error: ",
    ),
}

CONFIG = """
{
  include: ['%s'],
  dataset_reader: 'iris', train_data_path: 'train', test_data_path: 'test',
  model: 'logistic-regression', objective: 'cross-entropy',
}
"""


@pytest.fixture
def package(tmp_path: Path):
    """Writes a package with one submodule, which is broken."""

    def write(text: str) -> Path:
        folder = tmp_path / "cwd" / "my_plugin"
        folder.mkdir()
        (folder / "__init__.py").write_text('"""Mine."""\n')
        (folder / "method.py").write_text(text)
        return folder / "method.py"

    return write


def the_error(done) -> str:
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("kind", BROKEN)
class TestBroken:
    def test_include_package(self, hessinf, package, kind):
        text, line, error = BROKEN[kind]
        file = package(text)
        done = hessinf("list", "--include-package", "my_plugin", status=2)
        assert the_error(done).startswith(
            f'plugin error: "my_plugin" (from --include-package) failed: {file}:{line}: {error}'
        )

    def test_a_file(self, hessinf, package, kind):
        text, line, error = BROKEN[kind]
        file = package(text)
        done = hessinf("list", "--include-package", "my_plugin/method.py", status=2)
        assert the_error(done).startswith(
            'plugin error: "my_plugin/method.py" (from --include-package) failed: '
            f"{file}:{line}: {error}"
        )

    def test_plugins_file(self, hessinf, package, kind, tmp_path):
        text, line, error = BROKEN[kind]
        file = package(text)
        (tmp_path / "cwd" / ".hessinf_plugins").write_text("# mine\nmy_plugin\n")
        done = hessinf("list", status=2)
        assert the_error(done).startswith(
            f'plugin error: "my_plugin" (from .hessinf_plugins:2) failed: {file}:{line}: {error}'
        )

    def test_include_in_a_config(self, hessinf, package, kind, tmp_path):
        text, line, error = BROKEN[kind]
        file = package(text)
        config = tmp_path / "config.jsonnet"
        config.write_text(CONFIG % "my_plugin")
        done = hessinf("validate", config, status=2)
        assert the_error(done).startswith(
            f'plugin error: "my_plugin" (from include in {config}) failed: {file}:{line}: {error}'
        )

    def test_entry_point(self, hessinf, package, kind, tmp_path):
        text, line, error = BROKEN[kind]
        file = package(text)
        metadata = tmp_path / "cwd" / "my_plugin-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text("[hessinf.plugins]\nmine = my_plugin\n")
        done = hessinf("list", status=2)
        assert the_error(done).startswith(
            f'plugin error: "my_plugin" (from entry point mine) failed: {file}:{line}: {error}'
        )

    def test_help_still_works(self, hessinf, package, kind, tmp_path):
        package(BROKEN[kind][0])
        (tmp_path / "cwd" / ".hessinf_plugins").write_text("my_plugin\n")
        assert "interpret" in hessinf("--help").stdout


def test_an_error_below_the_plugin_names_the_line_in_the_plugin(hessinf, package):
    file = package(
        textwrap.dedent(
            """\
            def make():
                return {}["missing"]


            TABLE = make()
            """
        )
    )
    done = hessinf("list", "--include-package", "my_plugin", status=2)
    assert the_error(done) == (
        f'plugin error: "my_plugin" (from --include-package) failed: {file}:5: '
        "KeyError: 'missing'\n"
    )


class TestMissing:
    def test_a_package(self, hessinf, package):
        package("")
        done = hessinf("list", "--include-package", "my_plugins", status=2)
        assert the_error(done) == (
            'plugin error: cannot find the plugin "my_plugins" (from --include-package); did you '
            'mean "my_plugin"?; is it installed, or its folder the working directory or on '
            "PYTHONPATH?\n"
        )

    def test_a_file(self, hessinf, tmp_path):
        done = hessinf("list", "--include-package", "methods/mine.py", status=2)
        assert the_error(done) == (
            'plugin error: cannot find the plugin file "methods/mine.py" (from --include-package): '
            "expected a .py file, or a folder with an __init__.py; "
            f"looked in: {tmp_path / 'cwd'}\n"
        )

    def test_in_a_plugins_file(self, hessinf, tmp_path):
        (tmp_path / "cwd" / ".hessinf_plugins").write_text("# mine\n\nnot_there\n")
        done = hessinf("list", status=2)
        assert the_error(done).startswith(
            'plugin error: cannot find the plugin "not_there" (from .hessinf_plugins:3)'
        )

    def test_in_a_config(self, hessinf, tmp_path):
        config = tmp_path / "config.jsonnet"
        config.write_text(CONFIG % "./not_there.py")
        done = hessinf("validate", config, status=2)
        assert the_error(done) == (
            'plugin error: cannot find the plugin file "./not_there.py" (from include in '
            f"{config}): expected a .py file, or a folder with an __init__.py; looked in: "
            f"{tmp_path}, {tmp_path / 'cwd'}\n"
        )

    def test_debug_shows_the_traceback(self, hessinf):
        done = hessinf("list", "--debug", "--include-package", "not_there", status=2)
        assert done.stderr.startswith("Traceback")
        assert "PluginError" in done.stderr
