"""The books of a run: accounts, imports, stages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from benchmarks import run_ledger
from benchmarks.run_ledger import STAGES, Ledger, account_of_import, wrap

ROOT = Path(__file__).resolve().parent.parent.parent


class Time:
    """A clock that is set by hand; the processor works half of the time."""

    def __init__(self) -> None:
        self.now = 0.0

    def ledger(self) -> Ledger:
        return Ledger("all else", clock=lambda: self.now, processor=lambda: self.now / 2)

    def work(self, seconds: float) -> None:
        self.now += seconds


class TestLedger:
    def test_what_is_inside_counts_for_the_inner_account_alone(self) -> None:
        time = Time()
        ledger = time.ledger()
        time.work(1)
        ledger.enter("fit")
        time.work(2)
        ledger.enter("import torch")
        time.work(4)
        ledger.leave()
        time.work(8)
        ledger.leave()
        time.work(16)
        found = ledger.close()
        assert {name: one["clock"] for name, one in found.items()} == {
            "all else": 17.0,
            "fit": 10.0,
            "import torch": 4.0,
        }
        assert found["fit"]["processor"] == 5.0
        assert found["fit"]["peak_bytes"] > 0

    def test_accounts_add_up(self) -> None:
        time = Time()
        ledger = time.ledger()
        for name in ("fit", "write", "fit"):
            ledger.enter(name)
            time.work(3)
            ledger.leave()
        found = ledger.close()
        assert (found["fit"]["clock"], found["fit"]["times"]) == (6.0, 2)
        assert sum(one["clock"] for one in found.values()) == 9.0

    def test_which_import_goes_on(self) -> None:
        ledger = Time().ledger()
        assert ledger.importing is None
        ledger.enter("import numpy")
        assert ledger.importing == "import numpy"


@pytest.mark.parametrize(
    ("module", "importer", "account"),
    [
        ("torch.nn.functional", None, "import torch"),
        ("hessinf", None, "import hessinf"),
        ("hessinf.data.digits", None, "import hessinf.data"),
        ("ctypes.util", "import torch", "import torch"),
        ("argparse", None, "import standard library"),
        ("numpy", "import torch", "import numpy"),
    ],
)
def test_who_pays_for_an_import(module: str, importer: str | None, account: str) -> None:
    assert account_of_import(module, importer) == account


class TestWrapping:
    def module(self, time: Time) -> ModuleType:
        module = ModuleType("made_up")

        def slow() -> str:
            time.work(5)
            return "done"

        class Thing:
            def method(self, more: float) -> float:
                time.work(more)
                return more

        module.slow, module.Thing = slow, Thing  # type: ignore[attr-defined]
        return module

    def test_functions_and_methods(self) -> None:
        time = Time()
        ledger = time.ledger()
        module = self.module(time)
        assert wrap(ledger, module, "slow", "fit")
        assert wrap(ledger, module, "Thing.method", "fit")
        assert module.slow() == "done"
        assert module.Thing().method(2) == 2
        assert ledger.close()["fit"]["clock"] == 7.0

    def test_errors_close_the_account(self) -> None:
        time = Time()
        ledger = time.ledger()
        module = SimpleNamespace(fails=lambda: 1 / 0)
        wrap(ledger, module, "fails", "fit")  # type: ignore[arg-type]
        with pytest.raises(ZeroDivisionError):
            module.fails()
        time.work(3)
        assert ledger.close()["all else"]["clock"] == 3.0

    @pytest.mark.parametrize("name", ["absent", "Thing.absent", "Absent.method"])
    def test_what_is_not_there(self, name: str) -> None:
        time = Time()
        assert not wrap(time.ledger(), self.module(time), name, "fit")


def test_the_stages_are_functions_of_hessinf() -> None:
    """Whoever renames one has to say so in STAGES: a profile would leave it out."""
    code = (
        "import importlib, sys\n"
        "for place in sys.argv[1:]:\n"
        "    module, _, name = place.partition(':')\n"
        "    found = importlib.import_module(module)\n"
        "    for part in name.split('.'):\n"
        "        found = getattr(found, part, None)\n"
        "    if not callable(found):\n"
        "        print(place)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *STAGES], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout == ""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A made-up hessinf whose command line imports another package late."""
    commands = tmp_path / "hessinf" / "commands"
    commands.mkdir(parents=True)
    (tmp_path / "hessinf" / "__init__.py").write_text("")
    (commands / "__init__.py").write_text("")
    (commands / "run.py").write_text("def fit_or_restore():\n    import heavy\n    return heavy\n")
    (commands / "main.py").write_text(
        "import sys\n"
        "from hessinf.commands.run import fit_or_restore\n\n"
        "def main(argv=None):\n"
        "    fit_or_restore()\n"
        "    print(argv, sys.argv[1:])\n"
        "    return 2\n"
    )
    (tmp_path / "heavy.py").write_text("import colorsys\n")
    return tmp_path


def test_a_run_with_open_books(packages: Path, tmp_path: Path) -> None:
    out = tmp_path / "books.json"
    done = subprocess.run(
        [sys.executable, "-P", run_ledger.__file__, str(out), "interpret", "c.json"],
        env=os.environ | {"PYTHONPATH": str(packages), run_ledger.STARTED_AT: "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == "None ['interpret', 'c.json']\n"
    books = json.loads(out.read_text())
    assert books["status"] == 2
    assert books["accounts"].keys() == {
        "import hessinf",
        "import hessinf.commands",
        "import heavy",
        "fit",
        run_ledger.OTHER,
    }
    assert books["accounts"]["import heavy"]["times"] == 2  # heavy itself, and colorsys for it
    assert books["accounts"]["fit"]["times"] == 1
    assert "hessinf.commands.run:fit_or_restore" not in books["missing"]
    assert "hessinf.commands.run:read_data" in books["missing"]
    assert books["before"]["processor"] > 0
