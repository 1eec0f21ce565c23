from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks.peers import environments
from benchmarks.peers.environments import (
    RECIPES,
    STAMP,
    EnvironmentFailure,
    Recipe,
    ensure,
    interpreter,
    is_complete,
)

PINNED = {
    "pydvl": "pydvl==0.10.0",
    "kronfluence": "kronfluence==1.0.1",
    "dattri": "dattri==0.3.0",
    "captum": "captum==0.9.0",
    "curvlinops": "curvlinops-for-pytorch==3.0.1",
    "traker": "traker==0.3.2",
}


class FakeSteps:
    """Makes what venv and pip would make; fails at a step that has a word in it."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, ...]] = []
        self.failing = ""

    def __call__(self, directory: Path, *command: str) -> None:
        self.commands.append(command)
        if self.failing and self.failing in command:
            raise EnvironmentFailure("ERROR: no such thing")
        if "venv" in command:
            python = interpreter(directory)
            python.parent.mkdir(parents=True)
            python.touch()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> FakeSteps:
    fake = FakeSteps()
    monkeypatch.setattr(environments, "run", fake)
    return fake


def constrained() -> set[str]:
    lines = environments.CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return {line.split("==")[0].lower() for line in lines if "==" in line}


class TestRecipes:
    def test_packages_have_the_versions_of_the_table(self) -> None:
        assert {name: recipe.package for name, recipe in RECIPES.items()} == PINNED

    @pytest.mark.parametrize("name", RECIPES)
    def test_everything_is_pinned_once(self, name: str) -> None:
        known = constrained()
        for requirement in (*RECIPES[name].needs, *RECIPES[name].bare):
            project, _, version = requirement.partition("==")
            assert bool(version) != (project.lower() in known), requirement

    def test_pins_of_others_do_not_make_it_anew(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        constraints = tmp_path / "constraints.txt"
        monkeypatch.setattr(environments, "CONSTRAINTS", constraints)
        digests = []
        for lines in ("torch==1\nruff==1", "torch==1\nruff==2", "torch==2\nruff==2"):
            constraints.write_text(lines, encoding="utf-8")
            digests.append(RECIPES["traker"].digest)
        assert digests[0] == digests[1] != digests[2]


class TestEnsure:
    def test_makes_once(self, steps: FakeSteps, tmp_path: Path) -> None:
        python = ensure("dattri", tmp_path / "dattri")
        assert python == tmp_path / "dattri" / "bin" / "python"
        made = len(steps.commands)
        assert ensure("dattri", tmp_path / "dattri") == python
        assert len(steps.commands) == made == 3

    def test_the_package_comes_without_its_dependencies(
        self, steps: FakeSteps, tmp_path: Path
    ) -> None:
        ensure("kronfluence", tmp_path / "kronfluence")
        _, needs, package = steps.commands
        assert "torch" in needs
        assert "--no-deps" not in needs
        assert package[-1] == "kronfluence==1.0.1"
        assert "--no-deps" in package
        assert all("torchvision" not in command for command in steps.commands)
        for command in (needs, package):
            place = command.index("--constraint")
            assert command[place + 1] == str(environments.CONSTRAINTS)

    def test_one_that_was_interrupted_is_made_anew(self, steps: FakeSteps, tmp_path: Path) -> None:
        directory = tmp_path / "dattri"
        steps.failing = "--no-deps"
        with pytest.raises(EnvironmentFailure):
            ensure("dattri", directory)
        assert (directory / STAMP).read_text() == "unfinished\n"
        assert interpreter(directory).exists()
        assert not is_complete(directory, RECIPES["dattri"])
        (directory / "left").touch()
        steps.failing = ""
        ensure("dattri", directory)
        assert is_complete(directory, RECIPES["dattri"])
        assert not (directory / "left").exists()

    def test_another_recipe_makes_it_anew(
        self, steps: FakeSteps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ensure("dattri", tmp_path / "dattri")
        newer = dataclasses.replace(RECIPES["dattri"], package="dattri==0.4.0")
        monkeypatch.setitem(RECIPES, "dattri", newer)
        assert not is_complete(tmp_path / "dattri", newer)
        ensure("dattri", tmp_path / "dattri")
        assert steps.commands[-1][-1] == "dattri==0.4.0"

    def test_what_was_not_made_here_is_left_alone(self, steps: FakeSteps, tmp_path: Path) -> None:
        directory = tmp_path / "dattri"
        directory.mkdir()
        (directory / "thesis.tex").touch()
        with pytest.raises(EnvironmentFailure) as caught:
            ensure("dattri", directory)
        assert str(caught.value) == (
            f"{directory} holds something that was not made here; remove it, or choose another "
            "place with --environments"
        )
        assert (directory / "thesis.tex").exists()
        assert steps.commands == []


class TestRun:
    def test_a_failure_has_the_last_error_of_the_log(self, tmp_path: Path) -> None:
        program = "echo working; echo 'ERROR: No matching distribution'; echo hint; exit 1"
        with pytest.raises(EnvironmentFailure) as caught:
            environments.run(tmp_path, "sh", "-c", program)
        log = tmp_path / "install.log"
        assert str(caught.value) == (f"ERROR: No matching distribution (the whole log: {log})")
        assert log.read_text().startswith("+ sh -c echo working")


def test_digests_tell_recipes_apart() -> None:
    assert Recipe("a==1").digest == Recipe("a==1").digest != Recipe("a==1", needs=("b",)).digest
