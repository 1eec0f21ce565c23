from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "plugins" / "hessinf_label_similarity"

Run = Callable[..., subprocess.CompletedProcess[str]]


def clean_environment(home: Path, path: Sequence[Path] = ()) -> dict[str, str]:
    """An environment where hessinf can be imported, and no plugin unless ``path`` leads to it."""
    return {
        **os.environ,
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT])),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "HESSINF_PROGRESS": "0",
        "COLUMNS": "100",
    }


@pytest.fixture(scope="session", autouse=True)
def not_installed() -> None:
    """Every process would find the example by its entry point, whatever is tested."""
    if importlib.util.find_spec(EXAMPLE.name) is not None:
        pytest.skip("hessinf-label-similarity is installed: uninstall it to run these tests")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs Python in a process of its own, in an empty folder with an empty home."""
    home, cwd = tmp_path / "home", tmp_path / "cwd"
    home.mkdir()
    cwd.mkdir()

    def run_python(*words: object, path: Sequence[Path] = (), cwd: Path = cwd, status: int = 0):
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=cwd,
            env=clean_environment(home, path),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    return run_python


@pytest.fixture
def hessinf(run: Run) -> Run:
    """Runs the command line."""

    def run_hessinf(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
        return run("-m", "hessinf", *words, **options)

    return run_hessinf


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages into which the example was installed; the environment stays as it is."""
    work = tmp_path_factory.mktemp("installed")
    source = shutil.copytree(EXAMPLE, work / "source", ignore=shutil.ignore_patterns("*.egg-info"))
    target = work / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "-t", target, source]
    done = subprocess.run(
        list(map(str, command)),
        cwd=work,
        env=clean_environment(work),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target
