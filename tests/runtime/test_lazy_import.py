"""Modules are imported when they are first used, and stand-ins step aside."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest

from hessinf.runtime.lazy_import import LazyModule, lazy_import


def load(path: Path, source: str) -> types.ModuleType:
    """Execute a source as a module of its own."""
    module = types.ModuleType("under_test")
    exec(compile(source, str(path), "exec"), vars(module))
    return module


def test_the_stand_in_is_replaced_after_first_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_late_module.py").write_text("value = 42\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    user = load(
        tmp_path / "user.py",
        "from hessinf.runtime.lazy_import import lazy_import\n"
        'late = lazy_import("a_late_module")\n'
        "also = late\n"
        "def use():\n    return late.value\n",
    )
    assert isinstance(user.late, LazyModule)
    assert "a_late_module" not in sys.modules
    assert repr(user.late) == "<module 'a_late_module', not imported yet>"
    assert user.use() == 42
    assert user.late is user.also is sys.modules["a_late_module"]
    with pytest.raises(AttributeError, match="module 'a_late_module' has no attribute 'missing'"):
        _ = user.late.missing
    del sys.modules["a_late_module"]


def test_an_imported_module_is_returned_as_it_is() -> None:
    assert lazy_import("sys") is sys


def test_a_missing_module_says_so_when_used() -> None:
    late = lazy_import("no_such_module_anywhere")
    with pytest.raises(ImportError, match="No module named 'no_such_module_anywhere'"):
        _ = late.anything


def test_the_room_imports_no_heavy_module() -> None:
    code = (
        "import sys, hessinf.runtime.files, hessinf.runtime.progress, hessinf.runtime.randomness\n"
        "assert not {'torch', 'numpy', 'tqdm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
