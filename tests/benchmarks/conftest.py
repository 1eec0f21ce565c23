"""What tests of the benchmarks share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of two commits: the second one is twice as fast, by its own word."""
    folder = tmp_path / "repository"
    (folder / "hessinf").mkdir(parents=True)
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]

    def git(*words: str) -> None:
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)

    def commit(speed: str, message: str) -> None:
        (folder / "hessinf" / "speed.txt").write_text(speed, encoding="utf-8")
        git("add", "--all")
        git("commit", "--message", message)

    git("init", "--initial-branch", "main")
    (folder / ".gitignore").write_text("build/\n", encoding="utf-8")
    (folder / "gone.txt").write_text("here", encoding="utf-8")
    (folder / "hessinf" / "__init__.py").write_text("", encoding="utf-8")
    commit("2.0", "Work")
    commit("1.0", "Work twice as fast")
    return folder
