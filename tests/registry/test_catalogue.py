"""Names that are paths of classes: ``package.module.Class``."""

from __future__ import annotations

import sys
import textwrap

import pytest

from hessinf.registry import ConfigError, Registrable, UnknownNameError


class Solver(Registrable):
    pass


class Nested:
    class Inner(Solver):
        pass


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write modules to be imported by name."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(**modules: str):
        for name, text in modules.items():
            file = tmp_path / f"{'/'.join(reversed(name.split('_in_')))}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(textwrap.dedent(text))
        return tmp_path

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def mine(package):
    sys.modules["anchor_of_solver"] = sys.modules[__name__]
    package(
        my_solvers="""
        from anchor_of_solver import Solver
        class Mine(Solver):
            def __init__(self, steps: int = 1):
                self.steps = steps
        def function(): ...
        """
    )


@pytest.mark.parametrize("name", ["my_solvers.Mine", "my_solvers:Mine"])
def test_fully_qualified_class(mine, name):
    assert Solver.by_name(name).__name__ == "Mine"
    assert Solver.from_config({"type": name, "steps": 4}).steps == 4
    assert Solver.from_config(name).steps == 1


def test_fully_qualified_class_in_errors(mine):
    with pytest.raises(ConfigError) as raised:
        Solver.from_config({"type": "my_solvers.Mine", "step": 4})
    assert raised.value.problems[0].message == (
        'unknown argument of my_solvers.Mine; did you mean "steps"?'
    )


def test_inner_class_behind_a_colon():
    assert Solver.by_name(f"{__name__}:Nested.Inner") is Nested.Inner


def test_class_in_main(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "MySolver", Nested.Inner, raising=False)
    assert Solver.by_name("__main__:MySolver") is Nested.Inner


@pytest.mark.parametrize("name", ["json.JSONDecoder", "json:JSONDecoder", "json:loads"])
def test_fully_qualified_class_is_checked_to_be_a_subclass(name):
    with pytest.raises(
        UnknownNameError,
        match=f'^unknown name: "{name}" is no Solver: expected a subclass of {__name__}.Solver$',
    ):
        Solver.by_name(name)


@pytest.mark.parametrize(
    ("name", "module"),
    [("no_such.Thing", "no_such"), ("json.nope.Thing", "json.nope"), ("a.b:C", "a.b"), (".C", "")],
)
def test_module_absent(name, module):
    with pytest.raises(
        UnknownNameError,
        match=f'^unknown name: cannot find "{name}": there is no module "{module}"; is its folder '
        r"on PYTHONPATH, or its package installed\?$",
    ):
        Solver.by_name(name)


def test_module_raised(package):
    folder = package(raising="import json\n\nraise OSError('no weights')\n")
    with pytest.raises(
        UnknownNameError,
        match=f'^unknown name: cannot import "raising.Thing": {folder}/raising.py:3: '
        "OSError: no weights$",
    ):
        Solver.by_name("raising.Thing")


def test_module_that_misses_an_import_of_its_own(package):
    folder = package(missing="import not_installed_xyz\n")
    with pytest.raises(
        UnknownNameError,
        match=f'^unknown name: cannot import "missing.Thing": {folder}/missing.py:1: '
        "ModuleNotFoundError: No module named 'not_installed_xyz'$",
    ):
        Solver.by_name("missing.Thing")


def test_parent_package_that_misses_an_import_of_its_own(package):
    folder = package(__init___in_parent="import not_installed_xyz\n")
    with pytest.raises(
        UnknownNameError,
        match=f'^unknown name: cannot import "parent.child.Thing": {folder}/parent/__init__.py:1: '
        "ModuleNotFoundError: No module named 'not_installed_xyz'$",
    ):
        Solver.by_name("parent.child.Thing")


def test_module_that_exits(package):
    folder = package(exiting="import sys\nsys.exit(3)\n")
    with pytest.raises(
        UnknownNameError,
        match='^unknown name: cannot import "exiting.Thing": '
        f"{folder}/exiting.py:2: SystemExit: 3$",
    ):
        Solver.by_name("exiting.Thing")


def test_class_absent(mine):
    with pytest.raises(
        UnknownNameError,
        match=r'^unknown name: module "my_solvers" has no "Mien"; did you mean "Mine"\?$',
    ):
        Solver.by_name("my_solvers.Mien")
