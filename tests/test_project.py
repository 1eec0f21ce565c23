"""The project as a whole: who imports whom, sizes, pins, words that must not appear."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "hessinf"
SOURCES = sorted(PACKAGE.rglob("*.py"))

FLOORS: dict[str, float] = {
    "errors": 0,
    "registry": 1,
    "runtime": 1,
    "display": 1,
    "data": 2,
    "models": 2,
    "gradients": 3,
    "training": 3,
    "execution": 3,
    "scores": 4,
    "curvature": 4,
    "solvers": 4,
    "interpreters": 5,
    "testing": 5.5,
    "evaluation": 6,
    "reporting": 7,
    "commands": 8,
    "": 9,  # hessinf itself: hessinf/__init__.py and hessinf/__main__.py
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}


def room(module: str) -> str:
    """``hessinf.data.digits`` lives in ``data``; ``hessinf.errors`` is a room of its own."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else ""


def late_import(node: ast.AST) -> str | None:
    """The name in ``lazy_import("...")`` and ``importlib.import_module("...")``."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    argument = node.args[0]
    if name not in {"lazy_import", "import_module"} or not isinstance(argument, ast.Constant):
        return None
    return argument.value if isinstance(argument.value, str) else None


def imports_of(source: str, known: Iterable[str]) -> set[str]:
    """Modules of hessinf that a source imports: plainly, for types only, in a function or late."""
    known = set(known)
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                found.add(submodule if submodule in known else node.module)
        elif (name := late_import(node)) is not None:
            found.add(name)
    return {name for name in found if name.split(".")[0] == "hessinf"}


@cache
def import_graph() -> Mapping[str, frozenset[str]]:
    return {
        module: frozenset(imports_of(path.read_text(encoding="utf-8"), MODULES))
        for module, path in MODULES.items()
    }


def find_cycle(graph: Mapping[str, Iterable[str]]) -> list[str] | None:
    """A cycle as a list of nodes whose first and last are the same, or None."""
    done: set[str] = set()
    trail: list[str] = []

    def visit(node: str) -> list[str] | None:
        if node in trail:
            return [*trail[trail.index(node) :], node]
        if node in done:
            return None
        trail.append(node)
        for successor in sorted(graph.get(node, ())):
            if (cycle := visit(successor)) is not None:
                return cycle
        done.add(trail.pop())
        return None

    for node in sorted(graph):
        if (cycle := visit(node)) is not None:
            return cycle
    return None


class TestImports:
    def test_every_kind_of_import_is_seen(self) -> None:
        source = """
import hessinf.errors
from hessinf.data import batching, Dataset
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from hessinf.models.mlp import Mlp
else:
    mlp = lazy_import("hessinf.models.cnn")
def late():
    import importlib, torch
    importlib.import_module("hessinf.scores")
"""
        known = ["hessinf.errors", "hessinf.data", "hessinf.data.batching", "hessinf.scores"]
        assert imports_of(source, known) == {
            "hessinf.errors",
            "hessinf.data",
            "hessinf.data.batching",
            "hessinf.models.mlp",
            "hessinf.models.cnn",
            "hessinf.scores",
        }

    def test_cycles_are_found(self) -> None:
        assert find_cycle({"a": "b", "b": "c", "c": "b"}) == ["b", "c", "b"]
        assert find_cycle({"a": "bc", "b": "c", "c": ""}) is None

    def test_every_room_has_a_floor(self) -> None:
        assert {room(module) for module in MODULES} <= FLOORS.keys()

    def test_every_import_exists(self) -> None:
        missing = [
            f"{module} imports {name}"
            for module, names in import_graph().items()
            for name in sorted(names)
            if name not in MODULES and name.rpartition(".")[0] not in MODULES
        ]
        assert missing == []

    def test_no_arrow_runs_up(self) -> None:
        upward = [
            f"{module} imports {name}, which lives higher up"
            for module, names in import_graph().items()
            for name in sorted(names)
            if FLOORS[room(name)] > FLOORS[room(module)]
        ]
        assert upward == []

    def test_only_tests_import_testing(self) -> None:
        users = {
            module
            for module, names in import_graph().items()
            if room(module) != "testing" and any(room(name) == "testing" for name in names)
        }
        assert users == set()

    def test_data_does_not_import_models(self) -> None:
        users = {
            module
            for module, names in import_graph().items()
            if room(module) == "data" and any(room(name) == "models" for name in names)
        }
        assert users == set()

    def test_rooms_form_no_circle(self) -> None:
        graph: dict[str, set[str]] = {}
        for module, names in import_graph().items():
            graph.setdefault(room(module), set()).update(room(name) for name in names)
        for name, successors in graph.items():
            successors.discard(name)
        assert find_cycle(graph) is None

    def test_modules_form_no_circle(self) -> None:
        assert find_cycle(import_graph()) is None


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
class TestSource:
    def test_module_docstring(self, path: Path) -> None:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert docstring
        assert docstring != "Being written."

    def test_at_most_400_lines(self, path: Path) -> None:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400

    def test_no_path_of_one_machine(self, path: Path) -> None:
        found = re.findall(
            r"/work/|/tmp\b|/home/\w|/root\b|/Users/", path.read_text(encoding="utf-8")
        )
        assert found == []


def text_files() -> Iterator[Path]:
    """The project's own texts, without what is built or downloaded."""
    folders = (".ci", "hessinf", "configs", "plugins", "benchmarks", "docs", "tests")
    candidates = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    candidates += ROOT.glob("*")
    for path in sorted(candidates):
        parts = path.relative_to(ROOT).parts
        built = any(p == "__pycache__" or p.endswith(".egg-info") for p in parts)
        if path.is_file() and not built and path != Path(__file__).resolve():
            yield path


def test_no_package_index_is_named() -> None:
    forbidden = re.compile(
        rb"pypi\.org|pythonhosted\.org|download\.pytorch\.org|--(extra-)?index-url|--find-links"
    )
    naming = [
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in text_files()
        for match in forbidden.finditer(path.read_bytes())
    ]
    assert naming == []


def requirements() -> dict[str, list[Requirement]]:
    """What setup.cfg asks for, by extra; the empty extra is what is always installed."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    lists = {"": parser["options"]["install_requires"], **parser["options.extras_require"]}
    return {
        extra: [Requirement(line) for line in text.split("\n") if line.strip()]
        for extra, text in lists.items()
    }


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned: dict[str, Version] = {}
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][0-9a-z.]*)", line)
        assert match is not None, f"constraints.txt: {line!r} is no pin"
        name = canonicalize_name(match[1])
        assert name not in pinned, f"constraints.txt pins {name} twice"
        pinned[name] = Version(match[2])
    return pinned


def closure(wanted: Iterable[Requirement]) -> set[str]:
    """The names of the installed distributions that the requirements pull in, themselves too."""
    found: set[str] = set()
    waiting = [(requirement, "") for requirement in wanted]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        found.add(name)
        try:
            further = importlib.metadata.requires(requirement.name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for active in ("", *requirement.extras):
            if (name, active) not in seen:
                seen.add((name, active))
                waiting.extend((Requirement(text), active) for text in further)
    return found


class TestConstraints:
    def test_everything_the_extras_pull_in_is_pinned(self) -> None:
        everything = [item for items in requirements().values() for item in items]
        assert closure(everything) - pins().keys() == set()

    def test_the_installers_are_pinned(self) -> None:
        assert {"pip", "setuptools"} <= pins().keys()

    def test_the_pins_lie_in_the_ranges_of_setup_cfg(self) -> None:
        pinned = pins()
        outside = [
            f"{requirement} is pinned to {pinned[canonicalize_name(requirement.name)]}"
            for items in requirements().values()
            for requirement in items
            if pinned[canonicalize_name(requirement.name)] not in requirement.specifier
        ]
        assert outside == []

    def test_every_range_has_a_lower_end(self) -> None:
        for items in requirements().values():
            for requirement in items:
                assert ">=" in str(requirement.specifier), str(requirement)

    def test_dev_is_everything(self) -> None:
        everything = {str(item) for items in requirements().values() for item in items}
        always = {str(item) for item in requirements()[""]}
        assert {str(item) for item in requirements()["dev"]} == everything - always


class TestFiles:
    def test_changelog_has_an_unreleased_part(self) -> None:
        changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        assert changelog.startswith("# Changelog\n")
        assert re.findall(r"^## .*", changelog, re.MULTILINE)[0] == "## [Unreleased]"

    def test_the_license_is_whole(self) -> None:
        text = (ROOT / "LICENSE").read_text(encoding="utf-8")
        assert "Apache License\n                           Version 2.0, January 2004" in text
        assert "END OF TERMS AND CONDITIONS" in text

    def test_types_are_announced(self) -> None:
        assert (PACKAGE / "py.typed").is_file()

    @pytest.mark.parametrize("script", ["environment", "demo"])
    def test_scripts_are_plain_shell(self, script: str) -> None:
        path = ROOT / ".ci" / script
        subprocess.run(["sh", "-n", str(path)], check=True)
        assert path.read_text(encoding="utf-8").startswith("#!/bin/sh\n")

    def test_make_help_names_every_target(self) -> None:
        lines = (ROOT / "Makefile").read_text(encoding="utf-8")
        phony = re.search(r"^\.PHONY: (.*)$", lines, re.MULTILINE)
        assert phony is not None
        for target in phony[1].split():
            assert re.search(rf"^{target}:[^#\n]*##", lines, re.MULTILINE), target
