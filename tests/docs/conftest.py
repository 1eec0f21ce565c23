"""A page's own folder, and registries that forget what a page has registered."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hessinf.commands.catalogues import all_catalogues
from hessinf.commands.main import main
from hessinf.registry import Registrable
from tests.docs.blocks import ROOT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with the configs of the repository, and modules of its own."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("HESSINF_PROGRESS", "0")
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture(autouse=True)
def forgotten_names() -> Iterator[None]:
    """Take away what a page registers, and the modules that it imports from its own files."""
    all_catalogues()
    bases = list(Registrable.__subclasses__())
    before = {base: dict(base.catalogue.entries) for base in bases}
    modules = set(sys.modules)
    yield
    for base, entries in before.items():
        base.catalogue.entries.clear()
        base.catalogue.entries.update(entries)
    for name in set(sys.modules) - modules:
        if not name.startswith(("hessinf", "torch", "numpy", "sklearn", "scipy")):
            path = getattr(sys.modules[name], "__file__", None) or ""
            if path.startswith(os.getcwd()):
                del sys.modules[name]


def run_command(words: list[str]) -> tuple[int, str]:
    """Run a ``hessinf`` command in this process.

    Returns
    -------
    tuple of int and str
        Its exit status, and what it printed on both streams.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        status = main(words)
    return status, printed.getvalue()
