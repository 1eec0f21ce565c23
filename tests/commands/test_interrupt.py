"""^C and SIGTERM: exit status 130, a message, readable results, and a run that goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hessinf.commands import interpret_run, run
from hessinf.commands.main import main
from hessinf.interpreters.exact import Exact
from hessinf.runtime import progress
from hessinf.training import Trainer

CONFIG: dict[str, Any] = {
    "dataset_reader": {"type": "synthetic", "kind": "ring", "train_size": 24, "test_size": 12},
    "train_data_path": "train",
    "test_data_path": "test",
    "model": {"type": "mlp", "hidden_sizes": [4], "activation": "tanh"},
    "objective": "binary-cross-entropy",
    "trainer": {"optimizer": "lbfgs", "epochs": 20, "weight_decay": 0.04},
    "interpreter": {"type": "exact", "damping": 0.1, "query_batch_size": 5},
    "top_k": 3,
    "device": "cpu",
}

SIGNALS = [
    pytest.param(signal.SIGINT, "interrupted", "KeyboardInterrupt", id="SIGINT"),
    pytest.param(signal.SIGTERM, "terminated", "Terminated", id="SIGTERM"),
]


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Take ^C as a terminal's foreground does: a shell lets background jobs ignore it."""
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, earlier)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG))
    return file


@pytest.fixture
def expected(config: Path, tmp_path: Path, capsys: Any) -> bytes:
    assert main(["interpret", str(config), "-s", str(tmp_path / "undisturbed")]) == 0
    capsys.readouterr()
    return (tmp_path / "undisturbed" / "interpretations.jsonl").read_bytes()


def interrupting(function: Callable[..., Any], number: int, calls: int = 1) -> Callable[..., Any]:
    """Let this process get a signal at the n-th call of a function."""
    count = 0

    def called(*arguments: Any, **keywords: Any) -> Any:
        nonlocal count
        count += 1
        if count == calls:
            os.kill(os.getpid(), number)
            time.sleep(10)  # the signal is handled here
        return function(*arguments, **keywords)

    return called


def reading(monkeypatch: Any, number: int) -> None:
    monkeypatch.setattr(interpret_run, "read_data", interrupting(interpret_run.read_data, number))


def training(monkeypatch: Any, number: int) -> None:
    # In the middle: the third step of the optimizer's progress bar.
    monkeypatch.setattr(progress.Bar, "update", interrupting(progress.Bar.update, number, calls=2))


def saving_the_model(monkeypatch: Any, number: int) -> None:
    monkeypatch.setattr(run, "save_archive", interrupting(run.save_archive, number))


def fitting(monkeypatch: Any, number: int) -> None:
    monkeypatch.setattr(Exact, "fit", interrupting(Exact.fit, number))


def interpreting(monkeypatch: Any, number: int) -> None:
    block = interrupting(interpret_run.interpret_block, number, calls=3)
    monkeypatch.setattr(interpret_run, "interpret_block", block)


@pytest.mark.parametrize(("number", "said", "name"), SIGNALS)
@pytest.mark.parametrize(
    ("stage", "published"),
    [
        (reading, None),
        (training, None),
        (saving_the_model, None),
        (fitting, None),
        (interpreting, 10),
    ],
)
def test_signal(
    config: Path,
    tmp_path: Path,
    monkeypatch: Any,
    capsys: Any,
    expected: bytes,
    stage: Callable[[Any, int], None],
    published: int | None,
    number: int,
    said: str,
    name: str,
) -> None:
    directory = tmp_path / "run"
    arguments = ["interpret", str(config), "-s", str(directory)]
    stage(monkeypatch, number)
    assert main(arguments) == 130
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[-1] == f"{said}; what is finished is kept: go on with -r"
    monkeypatch.undo()

    if stage is not reading:
        log = (directory / "log.txt").read_text().splitlines()
        assert log[-1].endswith(
            f"WARNING hessinf.commands.run_log: stopped by {name}; go on with -r"
        )
        metrics = json.loads((directory / "metrics.json").read_text())
        assert metrics["complete"] is False
        assert not list(directory.rglob("*.unfinished"))
    results = directory / "interpretations.jsonl"
    if published is None:
        assert not results.exists()
    else:
        assert results.read_bytes() == b"".join(expected.splitlines(keepends=True)[:published])

    assert main([*arguments, "-r"]) == 0
    assert results.read_bytes() == expected


def test_second_interrupt_while_the_first_is_handled(
    config: Path, tmp_path: Path, monkeypatch: Any, expected: bytes
) -> None:
    interpreting(monkeypatch, signal.SIGINT)
    # The second one comes while finished queries are published because of the first.
    store = interpret_run.InterpretationStore
    monkeypatch.setattr(store, "publish", interrupting(store.publish, signal.SIGINT, calls=2))
    arguments = ["interpret", str(config), "-s", str(tmp_path / "run")]
    assert main(arguments) == 130
    monkeypatch.undo()
    assert main([*arguments, "-r"]) == 0
    assert (tmp_path / "run" / "interpretations.jsonl").read_bytes() == expected


def test_trainer_is_not_called_again(
    config: Path, tmp_path: Path, monkeypatch: Any, expected: bytes
) -> None:
    fitting(monkeypatch, signal.SIGINT)
    arguments = ["interpret", str(config), "-s", str(tmp_path / "run")]
    assert main(arguments) == 130
    monkeypatch.undo()
    fits: list[object] = []
    monkeypatch.setattr(Trainer, "fit", fits.append)
    assert main([*arguments, "-r"]) == 0
    assert fits == []


def test_process_of_its_own(config: Path, tmp_path: Path) -> None:
    """As a person does it: ^C twice, in the middle of a training that would take days."""
    content = json.loads(config.read_text())
    content["trainer"] = {"optimizer": {"type": "sgd", "lr": 1e-9}, "epochs": 10**9}
    config.write_text(json.dumps(content))
    directory = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "hessinf", "interpret", str(config), "-s", str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "HESSINF_PROGRESS": "0",
            "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
        },
    )
    try:
        log = directory / "log.txt"
        while not (log.exists() and "hessinf.commands.stages: model" in log.read_text()):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "interrupted; what is finished is kept: go on with -r"
    assert "stopped by KeyboardInterrupt; go on with -r" in log.read_text()
