"""One row from start to end, with processes of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.peers import __main__ as program
from benchmarks.peers.preparation import prepare
from benchmarks.peers.rows import Row
from benchmarks.peers.session import HERE, PREPARED_FROM, Session
from benchmarks.peers.store import hash_of


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workload that other processes know, with little data and a network hardly trained."""
    from benchmarks.peers import preparation

    monkeypatch.setitem(preparation.EPOCHS, "regression", 1)
    folder = tmp_path / "peers" / "workloads" / "regression"
    folder.parent.mkdir(parents=True)
    prepare("regression", folder, 0.03, 0.02)
    stamp = folder.with_name("regression.made-from")
    stamp.write_text(hash_of(HERE / file for file in PREPARED_FROM), encoding="utf-8")
    return tmp_path / "peers"


@pytest.mark.slow
def test_processes_measure_and_agree(
    directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = Row(
        "whole",
        "A whole row",
        "regression",
        ("lissa",),
        {"allennlp": None},
        reference="lissa",
        same=("lissa",),
    )
    monkeypatch.setattr(program, "ROWS", (row,))
    # Whoever edits hessinf while its tests run would have it measured again.
    monkeypatch.setattr(Session, "hessinf_sources", "as they are")
    monkeypatch.setattr(Session, "hessinf_changed", lambda self: False)
    monkeypatch.setattr(program.os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    options = ["--environments", str(directory), "--output", str(tmp_path / "out.json")]
    command = [*options, "--rows", "whole", "--runs", "1", "--limit", "300"]
    assert program.main(command) == 0
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "regression: hessinf lissa, run 1",
        "regression: hessinf lissa, warm, run 1",
        "regression: allennlp lissa, run 1",
        "regression: allennlp lissa, warm, run 1",
        "regression: reference lissa, run 1",
    ]
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    own, other = found["rows"]["whole"]["entries"]
    assert own["agreement"]["reference"]["relative_error"] < 1e-3
    assert other["agreement"]["hessinf"]["relative_error"] < 1e-2
    assert 0 < own["cpu"] < 100
    assert own["peak_bytes"] > 100_000_000
    assert own["threads"] == 1
    assert program.main(command) == 0
    assert capsys.readouterr().err == ""
