"""The routes by which packages of users come in."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

import pytest

from hessinf.registry import PluginError, Registrable, UnknownNameError, import_plugins
from hessinf.registry import plugins as module
from hessinf.registry.plugins import (
    import_installed_plugins,
    import_listed_plugins,
    imported_plugins,
)


@pytest.fixture
def solver(monkeypatch):
    class Solver(Registrable):
        pass

    monkeypatch.setitem(sys.modules, "base_of_plugins", type(sys)("base_of_plugins"))
    sys.modules["base_of_plugins"].Solver = Solver
    return Solver


@pytest.fixture
def folder(tmp_path, monkeypatch, solver):
    """An empty working directory; nothing imported from it outlives the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(module, "_imported", {})
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def registering(name: str) -> str:
    return (
        "from base_of_plugins import Solver\n"
        f"Solver.register('{name}')(type('S', (Solver,), {{}}))\n"
    )


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))


def error_of(*packages: str, **options) -> str:
    with pytest.raises(PluginError) as raised:
        import_plugins(packages, route="--include-package", **options)
    return str(raised.value)


def test_a_module(folder, solver):
    write(folder, {"my_solver.py": registering("mine")})
    (plugin,) = import_plugins(["my_solver"], route="--include-package")
    assert solver.is_registered("mine")
    assert (plugin.name, plugin.route) == ("my_solver", "--include-package")
    assert plugin.modules == ("my_solver",)
    assert plugin.registered == ('Solver "mine"',)
    assert imported_plugins() == (plugin,)
    assert import_plugins("my_solver") == (plugin,)


def test_a_package_with_all_its_submodules_and_none_skipped(folder, solver):
    files = {
        "pkg/__init__.py": registering("root"),
        "pkg/plain.py": registering("plain"),
        "pkg/_private.py": registering("private"),
        "pkg/test_x.py": registering("test-x"),
        "pkg/modules/__init__.py": "",
        "pkg/modules/deep.py": registering("deep"),
        "pkg/_hidden/__init__.py": registering("hidden"),
        "pkg/without_init/loose.py": registering("loose"),
        "pkg/__main__.py": "raise SystemExit('ran')",
        "pkg/data/readme.txt": "no module",
    }
    write(folder, files)
    (plugin,) = import_plugins(["pkg"])
    names = ["root", "hidden", "private", "deep", "plain", "test-x", "loose"]
    assert solver.list_available() == names
    assert plugin.modules == (
        "pkg",
        "pkg._hidden",
        "pkg._private",
        "pkg.modules",
        "pkg.modules.deep",
        "pkg.plain",
        "pkg.test_x",
        "pkg.without_init",
        "pkg.without_init.loose",
    )
    assert plugin.registered == tuple(f'Solver "{name}"' for name in names)


def test_a_folder_called_modules(folder, solver):
    write(folder, {"modules/__init__.py": "", "modules/mine.py": registering("mine")})
    import_plugins(["modules"])
    assert solver.is_registered("mine")


def test_a_module_inside_a_package(folder, solver):
    write(folder, {"pkg/__init__.py": "", "pkg/a.py": registering("a"), "pkg/b.py": "1 / 0"})
    import_plugins(["pkg.a"])
    assert solver.list_available() == ["a"]


def test_a_file(folder, solver):
    write(folder, {"sub/my_file.py": registering("mine")})
    (plugin,) = import_plugins(["sub/my_file.py"])
    assert plugin.modules == ("my_file",)
    assert solver.is_registered("mine")
    assert import_plugins([folder / "sub" / "my_file.py"]) == (plugin,)


def test_a_file_of_the_working_directory_keeps_its_name(folder, solver):
    write(folder, {"my_file.py": registering("mine")})
    sys.path.insert(0, str(folder))
    assert import_plugins(["./my_file.py"])[0].modules == ("my_file",)
    import_plugins(["my_file"])
    assert solver.list_available() == ["mine"]


def test_files_are_found_anywhere_by_their_absolute_paths(folder):
    write(
        folder,
        {
            "configs/one.py": registering("one"),
            "configs/several/__init__.py": registering("several"),
            "named/__init__.py": registering("named"),
        },
    )
    plugins = import_plugins(["one.py", "./several"], base=folder / "configs")
    plugins += import_plugins(["named"])
    configs = (folder / "configs").resolve()
    assert [plugin.found_anywhere for plugin in plugins] == [
        str(configs / "one.py"),
        str(configs / "several"),
        "named",
    ]


def test_a_file_relative_to_the_folder_of_its_config(folder, solver):
    write(folder, {"configs/mine.py": registering("mine")})
    import_plugins(["mine.py"], base=folder / "configs")
    assert solver.is_registered("mine")


def test_a_file_with_the_name_of_an_existing_module(folder, solver):
    import json

    write(folder, {"json.py": registering("mine"), "colorsys.py": registering("other")})
    first, _ = import_plugins(["./json.py", "./colorsys.py"])
    assert re.fullmatch("json_[0-9a-f]{8}", first.modules[0])
    assert sys.modules["json"] is json
    assert solver.list_available() == ["mine", "other"]


def test_a_file_whose_name_is_no_identifier(folder, solver):
    write(folder, {"my-file.v2.py": registering("mine")})
    assert import_plugins(["./my-file.v2.py"])[0].modules == ("my_file_v2",)


def test_a_package_by_its_folder(folder, solver):
    write(folder, {"sub/pkg/__init__.py": "", "sub/pkg/a.py": registering("a")})
    assert import_plugins(["sub/pkg"])[0].modules == ("pkg", "pkg.a")
    assert solver.is_registered("a")


def test_the_same_file_by_two_routes_is_no_duplicate(folder, solver):
    text = "from base_of_plugins import Solver\n@Solver.register('a')\nclass A(Solver): ...\n"
    write(folder, {"pkg/__init__.py": "", "pkg/a.py": text})
    import_plugins(["pkg", "pkg/a.py"])
    assert solver.list_available() == ["a"]


def test_missing_package(folder):
    write(folder, {"my_package.py": ""})
    assert error_of("my_pakage") == (
        'plugin error: cannot find the plugin "my_pakage" (from --include-package); did you mean '
        '"my_package"?; is it installed, or its folder the working directory or on PYTHONPATH?'
    )


def test_missing_file(folder):
    assert error_of("sub/x.py", base=folder / "configs") == (
        'plugin error: cannot find the plugin file "sub/x.py" (from --include-package): expected '
        f"a .py file, or a folder with an __init__.py; looked in: {folder}/configs, {folder}"
    )


def test_empty_name(folder):
    assert error_of(" ") == (
        "plugin error: an empty plugin name (from --include-package): expected a package or a "
        ".py file"
    )


def test_a_path_that_is_no_python_file(folder):
    write(folder, {"sub/x.txt": ""})
    assert error_of("sub/x.txt") == (
        'plugin error: "sub/x.txt" (from --include-package) is no Python file'
    )


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("import os\nx = nope\n", 2, "NameError: name 'nope' is not defined"),
        ("x = 1\ndef f(:\n", 2, "SyntaxError: invalid syntax"),
        (
            "def f():\nx\n",
            2,
            "IndentationError: expected an indented block after function definition on line 1",
        ),
        ("import sys\n\nsys.exit(3)\n", 3, "SystemExit: 3"),
        ("import sys\nsys.exit()\n", 2, "SystemExit"),
        ("import not_there_xyz\n", 1, "ModuleNotFoundError: No module named 'not_there_xyz'"),
        ("def f():\n    raise OSError('x\\ny')\n\nf()\n", 4, "OSError: x"),
        (
            "from base_of_plugins import Solver\nSolver.register('A')\n",
            2,
            'registration error: cannot register "A": a name is kebab-case, lower-case letters '
            'and digits joined by "-"; try "a"',
        ),
    ],
)
@pytest.mark.parametrize("plugin", ["broken", "./broken.py", "pkg"])
def test_an_error_inside_a_plugin_is_that_plugins_error(folder, plugin, text, line, message):
    write(folder, {"broken.py": text, "pkg/__init__.py": "", "pkg/broken.py": text})
    file = folder / ("pkg/broken.py" if plugin == "pkg" else "broken.py")
    assert error_of(plugin) == (
        f'plugin error: "{plugin}" (from --include-package) failed: {file}:{line}: {message}'
    )
    assert imported_plugins() == ()


def test_a_package_that_misses_an_import_is_not_called_absent(folder):
    write(folder, {"pkg/__init__.py": "import not_there_xyz\n", "pkg/a.py": ""})
    assert error_of("pkg.a") == (
        f'plugin error: "pkg.a" (from --include-package) failed: {folder}/pkg/__init__.py:1: '
        "ModuleNotFoundError: No module named 'not_there_xyz'"
    )


def test_a_plugin_can_be_mended_and_imported_again(folder, solver):
    write(folder, {"pkg/__init__.py": "", "pkg/a.py": registering("a"), "pkg/b.py": "1 / 0"})
    assert "ZeroDivisionError" in error_of("pkg")
    write(folder, {"pkg/b.py": registering("b-after")})
    import_plugins(["pkg"])
    assert solver.list_available() == ["a", "b-after"]


def test_listed_plugins_local_first_with_comments(folder, solver):
    write(
        folder,
        {
            ".hessinf_plugins": "# mine\n\nlocal_one  # the first\n./local_two.py\n",
            "home/.hessinf/plugins": "global_one\nlocal_one\n",
            "local_one.py": registering("local-one"),
            "local_two.py": registering("local-two"),
            "global_one.py": registering("global-one"),
        },
    )
    first, second, third, again = import_listed_plugins()
    assert solver.list_available() == ["local-one", "local-two", "global-one"]
    assert [first.route, second.route, third.route] == [
        ".hessinf_plugins:3",
        ".hessinf_plugins:4",
        f"{folder}/home/.hessinf/plugins:1",
    ]
    assert again == first


def test_listed_plugins_without_files(folder):
    assert import_listed_plugins() == ()


def test_error_in_a_listed_plugin_names_the_line(folder):
    write(folder, {".hessinf_plugins": "\nbroken\n", "broken.py": "1 / 0\n"})
    with pytest.raises(PluginError) as raised:
        import_listed_plugins()
    assert str(raised.value) == (
        f'plugin error: "broken" (from .hessinf_plugins:2) failed: {folder}/broken.py:1: '
        "ZeroDivisionError: division by zero"
    )


def test_entry_points(folder, solver):
    write(
        folder,
        {
            "site/installed.py": registering("installed"),
            "site/installed-1.0.dist-info/METADATA": "Name: installed\nVersion: 1.0\n",
            "site/installed-1.0.dist-info/entry_points.txt": (
                "[hessinf.plugins]\nmy-entry = installed\n"
            ),
        },
    )
    sys.path.insert(0, str(folder / "site"))
    plugins = {plugin.name: plugin for plugin in import_installed_plugins()}
    assert plugins["installed"].route == "entry point my-entry"
    assert solver.is_registered("installed")
    assert str(folder) not in sys.path


def test_error_in_an_entry_point(folder):
    write(
        folder,
        {
            "site/broken.py": "1 / 0\n",
            "site/broken-1.0.dist-info/METADATA": "Name: broken\nVersion: 1.0\n",
            "site/broken-1.0.dist-info/entry_points.txt": "[hessinf.plugins]\nbad = broken\n",
        },
    )
    sys.path.insert(0, str(folder / "site"))
    with pytest.raises(PluginError) as raised:
        import_installed_plugins()
    assert str(raised.value) == (
        f'plugin error: "broken" (from entry point bad) failed: {folder}/site/broken.py:1: '
        "ZeroDivisionError: division by zero"
    )


def test_name_not_registered_says_what_was_imported_and_how_to_import_more(folder, solver):
    write(folder, {"one.py": registering("first"), "two.py": registering("second")})
    import_plugins(["one", "./two.py"])
    with pytest.raises(UnknownNameError) as raised:
        solver.by_name("frist")
    assert str(raised.value) == (
        'unknown name: no Solver is registered as "frist"; did you mean "first"?\n'
        "  registered: first, second\n"
        "  plugins loaded: one, ./two.py; load one with --include-package PKG, "
        '"include": ["PKG"] in the config, or a line in .hessinf_plugins'
    )


class TestFoldersThatAreNoPackages:
    """Python takes any folder for a package; as a plugin it is refused, with what to try."""

    def test_the_folder_of_a_project(self, folder: Path) -> None:
        project = folder / "my_project_folder"
        (project / "my_package").mkdir(parents=True)
        (project / "my_package" / "__init__.py").write_text("")
        (project / "setup.cfg").write_text("")
        with pytest.raises(PluginError) as caught:
            import_plugins(["my_project_folder"])
        assert str(caught.value) == (
            'plugin error: "my_project_folder" (from import_plugins) is the folder of a project, '
            f"not its package: found {project}/setup.cfg; install it (pip install {project}), or "
            "name the folder of the package in it"
        )

    def test_a_folder_without_modules(self, folder: Path) -> None:
        (folder / "only_notes").mkdir()
        with pytest.raises(PluginError) as caught:
            import_plugins(["only_notes"])
        assert str(caught.value) == (
            'plugin error: "only_notes" (from import_plugins) is a folder without modules: '
            f"{folder}/only_notes"
        )

    def test_a_package_by_its_path_imports_itself_by_name(self, folder: Path) -> None:
        package = folder / "twin_folder" / "twin_folder"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("from twin_folder.part import VALUE\n")
        (package / "part.py").write_text("VALUE = 3\n")
        sys.path.insert(0, str(folder))
        (plugin,) = import_plugins(["./twin_folder/twin_folder"])
        assert plugin.modules == ("twin_folder", "twin_folder.part")
        assert sys.modules["twin_folder"].VALUE == 3
