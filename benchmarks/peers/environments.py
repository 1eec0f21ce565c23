"""An environment for each package, made with pip once and then only looked at.

Packages are installed without their own lists of dependencies where those would drag in
torchvision or an older numpy; what they do need is named here. torch and numpy are those of
constraints.txt, the same for everybody.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"

COMMON = ("torch", "numpy", "setuptools")
"""What every environment has."""

STAMP = "hessinf-peer.stamp"
"""Says what an environment was made from; "unfinished" until it is complete."""

UNFINISHED = "unfinished\n"


@dataclass(frozen=True)
class Recipe:
    """What is installed for a package.

    Parameters
    ----------
    package
        The package itself, pinned; installed without its dependencies.
    needs
        What it imports for what is measured here, pinned unless constraints.txt does it; installed
        with dependencies.
    bare
        The same without their dependencies.
    """

    package: str
    needs: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Hash what decides what is installed; of constraints.txt, only what is named here."""
        parts = (repr(self), *self.pins, platform.python_version())
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def pins(self) -> list[str]:
        """Pick the lines of constraints.txt for what is asked for without a version."""
        wanted = {name.lower() for name in (*COMMON, *self.needs) if "==" not in name}
        lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line.partition("==")[0].lower() in wanted]


RECIPES: Mapping[str, Recipe] = {
    # Its list asks for numpy < 2 and numcodecs < 0.16, and for cvxpy, which influence does not use.
    "pydvl": Recipe(
        "pydvl==0.10.0",
        needs=(
            *("scikit-learn", "scipy", "joblib", "cloudpickle", "tqdm", "zarr", "numcodecs"),
            *("pandas", "psutil==7.2.2", "dask==2026.8.0", "distributed==2026.8.0"),
            "pyDeprecate==0.3.2",
        ),
    ),
    # Its list asks for torchvision, which it does not import.
    "kronfluence": Recipe(
        "kronfluence==1.0.1",
        needs=("safetensors", "tqdm", "accelerate==1.15.0"),
        bare=("einops==0.8.2", "einconv==0.1.0", "opt_einsum==3.4.0"),
    ),
    # Its list asks for pretty_midi, which only its music benchmark uses.
    "dattri": Recipe("dattri==0.3.0", needs=("scipy", "tqdm", "PyYAML")),
    "captum": Recipe("captum==0.9.0", needs=("packaging", "tqdm", "matplotlib")),
    # Its list asks for BackPACK, which asks for torchvision.
    "curvlinops": Recipe(
        "curvlinops-for-pytorch==3.0.1",
        needs=("scipy", "tqdm"),
        bare=(
            *("einops==0.8.2", "einconv==0.1.0", "opt_einsum==3.4.0"),
            "linear_operator==0.6.1",
        ),
    ),
    "traker": Recipe("traker==0.3.2", needs=("tqdm",)),
}
"""By the name of the adapter."""


class EnvironmentFailure(Exception):
    """An environment could not be made; the message has the last line of the log."""


def interpreter(directory: Path) -> Path:
    """Name the Python of an environment."""
    return directory / "bin" / "python"


def is_complete(directory: Path, recipe: Recipe) -> bool:
    """Say whether an environment was made to the end, from this recipe."""
    stamp = directory / STAMP
    return (
        stamp.is_file()
        and stamp.read_text(encoding="utf-8") == recipe.digest
        and interpreter(directory).exists()
    )


def ensure(peer: str, directory: Path) -> Path:
    """Make the environment of a package unless it is there; return its interpreter.

    What an interrupted attempt left is removed first.

    Raises
    ------
    EnvironmentFailure
        If pip or venv fails, or the directory holds something that was not made here.
    """
    recipe = RECIPES[peer]
    if is_complete(directory, recipe):
        return interpreter(directory)
    with locked(directory):
        if not is_complete(directory, recipe):
            make(recipe, directory)
    return interpreter(directory)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep others from making the same environment meanwhile."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(directory.with_name(f".{directory.name}.lock"), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make(recipe: Recipe, directory: Path) -> None:
    """Make an environment from nothing."""
    if directory.exists():
        if any(directory.iterdir()) and not (directory / STAMP).is_file():
            raise EnvironmentFailure(
                f"{directory} holds something that was not made here; remove it, or choose another "
                "place with --environments"
            )
        shutil.rmtree(directory)
    print(f"making the environment of {recipe.package} in {directory}", file=sys.stderr)
    directory.mkdir(parents=True)
    (directory / STAMP).write_text(UNFINISHED, encoding="utf-8")
    run(directory, sys.executable, "-m", "venv", str(directory))
    pip = (
        *(str(interpreter(directory)), "-m", "pip", "install", "--no-input"),
        *("--disable-pip-version-check", "--constraint", str(CONSTRAINTS)),
    )
    run(directory, *pip, *COMMON, *recipe.needs)
    run(directory, *pip, "--no-deps", "--no-build-isolation", *recipe.bare, recipe.package)
    (directory / STAMP).write_text(recipe.digest, encoding="utf-8")


def run(directory: Path, *command: str) -> None:
    """Run a step; its output goes to a log."""
    log = directory / "install.log"
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_USER"}
    }
    with open(log, "a", encoding="utf-8") as file:
        print("+", *command, file=file, flush=True)
        ended = subprocess.run(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=clean,
            check=False,
        )
    if ended.returncode:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        errors = [line for line in said if line.startswith("ERROR")] or said
        raise EnvironmentFailure(f"{errors[-1]} (the whole log: {log})")
