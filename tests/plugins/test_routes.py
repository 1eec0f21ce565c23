"""The four ways in which a plugin gets into hessinf, each in a process of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "plugins" / "hessinf_label_similarity"
PACKAGE = "hessinf_label_similarity"
MODULES = ("", ".gradient_whitening", ".label_similarity", ".two_moons")
REGISTERED = [
    'InfluenceInterpreter "gradient-whitening"',
    'InfluenceInterpreter "label-similarity"',
    'DatasetReader "two-moons"',
]

LIST_PLUGINS = """
import dataclasses, json, sys
import hessinf.data, hessinf.interpreters  # whose own names are registered first
from hessinf.registry import imported_plugins, plugins
{code}
print(json.dumps([dataclasses.asdict(plugin) for plugin in imported_plugins()]))
print([name for name in ("torch", "numpy", "sklearn") if name in sys.modules])
"""


def plugins_after(run, code: str, **options) -> list[dict]:
    """What was imported by some Python code, which may not import anything heavy."""
    lines = run("-c", LIST_PLUGINS.format(code=code), **options).stdout.splitlines()
    assert lines[1] == "[]"
    return json.loads(lines[0])


def interpreters(hessinf, *words, **options) -> list[str]:
    done = hessinf("list", "InfluenceInterpreter", "--json", *words, **options)
    assert done.stderr == ""
    return json.loads(done.stdout)["InfluenceInterpreter"]


class TestNone:
    def test_names_are_unknown(self, hessinf):
        assert "label-similarity" not in interpreters(hessinf)
        done = hessinf("describe", "label-similarity", status=2)
        assert "label-similarity" in done.stderr
        assert "Traceback" not in done.stderr

    def test_the_error_says_how_to_load_plugins(self, hessinf, tmp_path):
        config = tmp_path / "config.jsonnet"
        config.write_text(f"(import '{EXAMPLE}/configs/two_moons.jsonnet') + {{ include: [] }}")
        done = hessinf("validate", config, status=2)
        assert 'no InfluenceInterpreter is registered as "label-similarity"' in done.stderr
        assert 'no DatasetReader is registered as "two-moons"' in done.stderr
        assert (
            'plugins loaded: none; load one with --include-package PKG, "include": ["PKG"] in the '
            "config, or a line in .hessinf_plugins" in done.stderr
        )


class TestEntryPoint:
    def test_functions(self, run, installed):
        (plugin,) = plugins_after(run, "plugins.import_installed_plugins()", path=[installed])
        assert plugin == {
            "name": PACKAGE,
            "route": "entry point label-similarity",
            "modules": [f"{PACKAGE}{module}" for module in MODULES],
            "registered": REGISTERED,
        }

    def test_command_line(self, hessinf, installed):
        names = interpreters(hessinf, path=[installed])
        assert {"label-similarity", "gradient-whitening"} <= set(names)
        described = hessinf("describe", "label-similarity", path=[installed]).stdout
        assert f"registered  {installed}/{PACKAGE}/label_similarity.py:" in described

    def test_the_installed_package_is_typed_and_declares_what_it_needs(self, installed):
        assert (installed / PACKAGE / "py.typed").is_file()
        (metadata,) = installed.glob("*.dist-info/METADATA")
        needs = re.findall(r"^Requires-Dist: ([\w-]+)", metadata.read_text(), re.MULTILINE)
        assert sorted(needs) == ["hessinf", "numpy", "torch"]
        assert not (installed / "tests").exists()


class TestIncludePackage:
    @pytest.mark.parametrize(
        ("given", "names", "registered"),
        [
            (PACKAGE, [f"{PACKAGE}{module}" for module in MODULES], REGISTERED),
            (f"{PACKAGE}.two_moons", [f"{PACKAGE}.two_moons"], REGISTERED),
            (str(EXAMPLE / PACKAGE), [f"{PACKAGE}{module}" for module in MODULES], REGISTERED),
            (f"{PACKAGE}/two_moons.py", ["two_moons"], REGISTERED[2:]),
        ],
        ids=["package", "module", "folder", "file"],
    )
    def test_functions(self, run, given, names, registered):
        code = f"plugins.import_plugins([{given!r}], route='--include-package')"
        (plugin,) = plugins_after(run, code, cwd=EXAMPLE)
        assert plugin == {
            "name": given,
            "route": "--include-package",
            "modules": names,
            "registered": registered,
        }

    @pytest.mark.parametrize("place", ["before", "after"])
    def test_command_line(self, hessinf, place):
        words = ["describe", "label-similarity"]
        option = ["--include-package", PACKAGE]
        words = option + words if place == "before" else words + option
        described = hessinf(*words, cwd=EXAMPLE).stdout
        assert described.startswith('"label-similarity" is ')
        assert "minimum_count: int >= 1, default 1" in described
        assert "Labels with fewer training examples have no part in the profile" in described
        assert "Time: one pass for the training gradients" in described

    def test_schema_holds_its_names(self, hessinf):
        schema = hessinf("schema", "--include-package", EXAMPLE / PACKAGE).stdout
        assert "minimum_count" in schema
        assert "two-moons" in schema


class TestPluginsFile:
    TEXT = f"# what I use\n\n  {PACKAGE}  # mine\n# nothing else\n"

    @pytest.mark.parametrize("place", ["cwd", "home"])
    def test_functions(self, run, tmp_path, place):
        file = tmp_path / ("cwd/.hessinf_plugins" if place == "cwd" else "home/.hessinf/plugins")
        file.parent.mkdir(exist_ok=True)
        file.write_text(self.TEXT)
        (plugin,) = plugins_after(run, "plugins.import_listed_plugins()", path=[EXAMPLE])
        assert plugin["route"] == f"{'.hessinf_plugins' if place == 'cwd' else file}:3"
        assert plugin["registered"] == REGISTERED

    def test_command_line(self, hessinf, tmp_path):
        (tmp_path / "cwd" / ".hessinf_plugins").write_text(self.TEXT)
        assert "label-similarity" in interpreters(hessinf, path=[EXAMPLE])

    def test_paths_start_where_the_file_is(self, hessinf, tmp_path):
        (tmp_path / "home" / ".hessinf").mkdir()
        (tmp_path / "home" / ".hessinf" / "plugins").write_text("./mine/moons.py\n")
        (tmp_path / "home" / ".hessinf" / "mine").mkdir()
        source = (EXAMPLE / PACKAGE / "two_moons.py").read_text()
        (tmp_path / "home" / ".hessinf" / "mine" / "moons.py").write_text(source)
        assert '"two-moons" is ' in hessinf("describe", "two-moons").stdout


class TestInclude:
    def test_by_name(self, hessinf, tmp_path):
        config = tmp_path / "config.jsonnet"
        config.write_text(f"import '{EXAMPLE}/configs/two_moons.jsonnet'")
        assert hessinf("validate", config, path=[EXAMPLE]).stdout.endswith("valid\n")

    def test_by_a_path_relative_to_the_config(self, hessinf, tmp_path):
        (tmp_path / "mine").mkdir()
        source = (EXAMPLE / PACKAGE / "two_moons.py").read_text()
        (tmp_path / "mine" / "moons.py").write_text(source)
        config = tmp_path / "mine" / "config.jsonnet"
        config.write_text(
            f"(import '{EXAMPLE}/configs/two_moons.jsonnet') + "
            "{ include: ['./moons.py'], interpreter: 'exact' }"
        )
        assert hessinf("validate", config).stdout.endswith("valid\n")

    def test_a_wrong_kind_of_value(self, hessinf):
        config = EXAMPLE / "configs" / "two_moons.jsonnet"
        done = hessinf("validate", config, "--set", f"include={PACKAGE}", status=2)
        assert "include" in done.stderr
        assert f'expected list[str], found "{PACKAGE}" (str)' in done.stderr


def test_all_four_together_are_one_plugin(hessinf, installed, tmp_path):
    (tmp_path / "cwd" / ".hessinf_plugins").write_text(f"{PACKAGE}\n")
    config = tmp_path / "config.jsonnet"
    config.write_text(f"import '{EXAMPLE}/configs/two_moons.jsonnet'")
    done = hessinf("validate", config, "--include-package", PACKAGE, path=[installed])
    assert done.stdout.endswith("valid\n")
    assert done.stderr == ""


def test_two_copies_are_refused_with_both_places(hessinf, installed):
    folder = EXAMPLE / PACKAGE
    done = hessinf("list", "--include-package", folder, path=[installed], status=2)
    assert done.stdout == ""
    for place in (folder, installed / PACKAGE):
        assert re.search(re.escape(f"{place}/gradient_whitening.py:") + r"\d+", done.stderr)
    assert "Traceback" not in done.stderr
