"""Runs that fail in the middle: what was finished is published, and the run goes on."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from hessinf.commands import interpret_run
from hessinf.commands.interpret_run import FinishedInterpretations, interpret
from hessinf.commands.main import main
from hessinf.commands.run_config import load_checked_config
from hessinf.errors import HessinfError
from hessinf.interpreters import fitted_state
from hessinf.interpreters.exact import Exact
from hessinf.scores.errors import ScoreError

CONFIG: dict[str, Any] = {
    "dataset_reader": {
        "type": "breast-cancer",
        "test_ratio": 0.02,
        "train_size": 40,
        "dtype": "float64",
    },
    "train_data_path": "train",
    "test_data_path": "test",
    "model": {"type": "logistic-regression", "dtype": "float64"},
    "objective": "cross-entropy",
    "trainer": {"optimizer": "lbfgs", "epochs": 50, "weight_decay": 0.1},
    "interpreter": {"type": "exact", "damping": 0.01, "query_batch_size": 5},
    "top_k": 3,
    "device": "cpu",
    "seed": 7,
}
"""Twelve queries in blocks of five: three shards."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "config.json")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return what an undisturbed run publishes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return run(write_config(folder / "config.json"), folder / "run").interpretations.read_bytes()


def write_config(file: Path, **changes: Any) -> Path:
    file.write_text(json.dumps({**CONFIG, **changes}))
    return file


def run(file: Path, directory: Path, **options: Any) -> FinishedInterpretations:
    return interpret(load_checked_config(file), directory, **options)


def metrics_of(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "metrics.json").read_text())


class TestFailureInTheMiddle:
    def test_earlier_shards_are_published_and_the_run_goes_on(
        self, config: Path, tmp_path: Path, monkeypatch: Any, expected: bytes
    ) -> None:
        error = ScoreError("scoring: the score of training example 3 is nan")
        starts = _failing_from(10, error, monkeypatch)
        with pytest.raises(ScoreError):
            run(config, tmp_path / "run")
        assert starts == [0, 5, 10]
        published = (tmp_path / "run" / "interpretations.jsonl").read_bytes()
        assert published == b"".join(expected.splitlines(keepends=True)[:10])
        metrics = metrics_of(tmp_path / "run")
        assert metrics["complete"] is False
        assert [stage["examples"] for stage in metrics["stages"][2:]] == [40, 10]
        assert (
            f"ERROR hessinf.commands.run_log: ScoreError: {error}"
            in (tmp_path / "run" / "log.txt").read_text()
        )
        monkeypatch.undo()

        starts = _failing_from(99, error, monkeypatch)
        done = run(config, tmp_path / "run", resume=True)
        assert starts == [10]
        assert done.interpretations.read_bytes() == expected
        assert metrics_of(done.directory)["complete"] is True

    def test_full_disk(
        self, config: Path, tmp_path: Path, monkeypatch: Any, expected: bytes, capsys: Any
    ) -> None:
        _full_disk_at("00000010", monkeypatch)
        directory = tmp_path / "run"
        assert main(["interpret", str(config), "-s", str(directory)]) == 1
        assert capsys.readouterr().err.splitlines()[-1] == (
            f"no space left for the results in {directory} ([Errno 28] No space left on device); "
            "what is finished is kept: free some space, and go on with -r"
        )
        published = (directory / "interpretations.jsonl").read_bytes()
        assert published == b"".join(expected.splitlines(keepends=True)[:10])
        assert not list(directory.rglob("*.unfinished"))
        monkeypatch.undo()
        assert run(config, directory, resume=True).interpretations.read_bytes() == expected

    @pytest.mark.parametrize(
        "text",
        [
            "Error while serializing: I/O error: No space left on device (os error 28)",
            'Error: IoError(Os { code: 28, kind: StorageFull, message: "No space left" })',
        ],
    )
    def test_full_disk_under_safetensors(
        self, config: Path, tmp_path: Path, monkeypatch: Any, capsys: Any, text: str
    ) -> None:
        def failing(*_: Any) -> None:
            raise SafetensorError(text)

        monkeypatch.setattr(fitted_state, "save_file", failing)
        directory = tmp_path / "run"
        assert main(["interpret", str(config), "-s", str(directory)]) == 1
        error = capsys.readouterr().err
        assert f"no space left for the results in {directory} ({text}); what is" in error
        assert not list(directory.rglob("factors*"))

    def test_solutions_that_ran_away_do_not_lose_the_metrics(
        self, config: Path, tmp_path: Path, monkeypatch: Any
    ) -> None:
        precondition = Exact.precondition

        def reporting(self: Exact, gradients: Any) -> Any:
            result = precondition(self, gradients)
            self.report(relative_residual=torch.full((gradients.count,), torch.inf))
            return result

        monkeypatch.setattr(Exact, "precondition", reporting)
        done = run(config, tmp_path / "run")
        assert metrics_of(done.directory)["relative_residual"] == {
            "median": "inf",
            "largest": "inf",
        }

    @pytest.mark.parametrize("key", ["train_data_path", "test_data_path"])
    def test_missing_data_leaves_nothing_behind(self, tmp_path: Path, key: str) -> None:
        config = write_config(tmp_path / "config.json", **{key: "trian"})
        with pytest.raises(HessinfError, match='"breast-cancer" has no split "trian"'):
            run(config, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def _failing_from(start: int, error: Exception, monkeypatch: Any) -> list[int]:
    """Let the block that begins at ``start`` fail; the list tells which blocks were begun."""
    begun: list[int] = []
    interpret_block = interpret_run.interpret_block

    def failing(interpreter: Any, queries: Any, first: int, *others: Any) -> Any:
        begun.append(first)
        if first >= start:
            raise error
        return interpret_block(interpreter, queries, first, *others)

    monkeypatch.setattr(interpret_run, "interpret_block", failing)
    return begun


def _full_disk_at(name: str, monkeypatch: Any) -> None:
    """Let the disk be full when a file with this in its name is renamed to its place."""
    replace = os.replace

    def failing(source: Any, target: Any) -> None:
        if f"-{name}-" in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
