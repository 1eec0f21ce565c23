"""A working directory with small configs, the command line in this process, and what a wrong
config must leave as it was."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from hessinf.commands.catalogues import all_catalogues
from hessinf.commands.main import main
from hessinf.commands.run_config import RunConfig
from hessinf.registry import Registrable, plugins
from hessinf.registry.describe import describe

ROOT = Path(__file__).resolve().parents[2]

RING = """{
  dataset_reader: { type: 'synthetic', kind: 'ring', train_size: 24, test_size: 4 },
  train_data_path: 'train',
  test_data_path: 'test',
  model: { type: 'mlp', hidden_sizes: [3], activation: 'tanh' },
  objective: 'cross-entropy',
  trainer: { optimizer: 'lbfgs', epochs: 20, weight_decay: 0.05 },
  interpreter: { type: 'exact', damping: 0.1 },
  report: 'page',
}
"""

TABLE = """{
  dataset_reader: { type: 'csv', target: 'label' },
  train_data_path: 'train.csv',
  test_data_path: 'test.csv',
  model: 'logistic-regression',
  objective: 'cross-entropy',
  trainer: { optimizer: 'lbfgs', epochs: 20, weight_decay: 0.05 },
  interpreter: { type: 'exact', damping: 0.1 },
  report: 'page',
}
"""

TRAIN = "x,y,label\n1,2,a\n2,1,b\n3,5,a\n4,3,b\n"
TEST = "x,y,label\n1,1,a\n2,2,b\n"

Content = str | bytes | Callable[[Path], object]


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit status and streams."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory; what plugins register in it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HESSINF_PROGRESS", "0")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(plugins, "_imported", dict(plugins._imported))
    write(
        {
            "ring.libsonnet": RING,
            "table.libsonnet": TABLE,
            "train.csv": TRAIN,
            "test.csv": TEST,
            "a.jsonnet": "import 'ring.libsonnet'",
        }
    )
    modules = set(sys.modules)
    entries = {base: dict(base.catalogue.entries) for base in Registrable.__subclasses__()}
    yield tmp_path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]
    for base, registered in entries.items():
        base.catalogue.entries.clear()
        base.catalogue.entries.update(registered)


def write(files: Mapping[str, Content]) -> None:
    """Write files: text, bytes, or what a function makes at the path."""
    for name, content in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content(path)


@pytest.fixture
def cli(workplace: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Outcome]:
    """Run a command line in this process."""

    def run(line: str) -> Outcome:
        capsys.readouterr()
        status = main(shlex.split(line))
        return Outcome(status, *capsys.readouterr())

    return run


@pytest.fixture
def process(workplace: Path) -> Callable[[str], Outcome]:
    """Run a command line in a process of its own."""

    def run(line: str, program: tuple[str, ...] = ("-m", "hessinf")) -> Outcome:
        done = subprocess.run(
            [sys.executable, *program, *shlex.split(line)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Read everything below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of the small ring."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder))
        patch.setenv("HESSINF_PROGRESS", "0")
        write({"a.jsonnet": RING})
        assert main(["interpret", "a.jsonnet", "-s", "run"]) == 0
    return folder / "run"


@pytest.fixture
def check_malformed(
    cli: Callable[[str], Outcome], workplace: Path, finished_run: Path
) -> Callable[..., None]:
    """Run something wrong three ways: alone, to replace an earlier run, to go on with one."""

    def check(
        *,
        status: int,
        stderr: str,
        ring: str | None = None,
        table: str | None = None,
        files: Mapping[str, Content] | None = None,
        options: str = "",
        begun: bool = False,
    ) -> None:
        if ring is not None:
            write({"a.jsonnet": f"local ring = import 'ring.libsonnet'; ring + {ring}"})
        if table is not None:
            write({"a.jsonnet": f"(import 'table.libsonnet') + {table}"})
        write(files or {})
        shutil.copytree(finished_run, "earlier")
        before = snapshot(Path("earlier"))

        alone = cli(f"interpret a.jsonnet -s out {options}")
        expected = filled(stderr, workplace)
        if "<...>" in expected:
            assert re.fullmatch(re.escape(expected).replace("<\\.\\.\\.>", ".*"), alone.stderr)
            expected = alone.stderr
        assert alone == Outcome(status, "", expected)
        assert "Traceback" not in expected
        # Only what training or fitting brings out comes after the directory is made.
        assert Path("out").exists() == begun

        replacing = cli(f"interpret a.jsonnet -s earlier -f {options}")
        assert replacing == alone
        resuming = cli(f"interpret a.jsonnet -s earlier -r {options}")
        assert resuming.stdout == ""
        assert (resuming.status, resuming.stderr) == (status, expected) or (
            resuming.status == 2
            and resuming.stderr.startswith("earlier was started with another config; ")
        )
        assert snapshot(Path("earlier")) == before

    return check


def filled(text: str, workplace: Path) -> str:
    """Put into an expected message what grows with the package: names, arguments, plugins."""
    bases = all_catalogues()

    def names(match: re.Match[str]) -> str:
        return ", ".join(sorted(bases[match[1]].catalogue.entries))

    def arguments(match: re.Match[str]) -> str:
        catalogue = bases[match[1]].catalogue
        description = describe(catalogue, catalogue.find(match[2]))
        return ", ".join(sorted(argument.name for argument in description.arguments))

    text = re.sub(r"<names of (\w+)>", names, text)
    text = re.sub(r"<arguments of (\w+) ([\w-]+)>", arguments, text)
    text = text.replace("<keys>", ", ".join(sorted(field.name for field in fields(RunConfig))))
    text = text.replace("<plugins>", plugins.plugins_hint())
    return text.replace("<here>", str(workplace))
