"""Runs whose config asks for groups of training examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hessinf.commands.interpret_run import interpret
from hessinf.commands.main import main
from hessinf.commands.run_config import load_checked_config
from hessinf.data import DatasetReader
from hessinf.interpreters import InfluenceInterpreter, InterpreterError
from hessinf.models import load_archive
from hessinf.runtime.json_lines import read_lines

CONFIG: dict[str, Any] = {
    "dataset_reader": {"type": "synthetic", "kind": "ring", "train_size": 24, "test_size": 5},
    "train_data_path": "train",
    "test_data_path": "test",
    "model": {"type": "mlp", "hidden_sizes": [3], "activation": "tanh", "dtype": "float64"},
    "objective": "cross-entropy",
    "trainer": {"optimizer": "lbfgs", "epochs": 20, "weight_decay": 0.05},
    "interpreter": {"type": "exact", "damping": 0.1, "query_batch_size": 2},
    "device": "cpu",
    "seed": 1,
}


@pytest.fixture(autouse=True)
def _working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HESSINF_PROGRESS", "0")


def checked(**changes: Any) -> Any:
    Path("config.json").write_text(json.dumps({**CONFIG, **changes}))
    return load_checked_config("config.json")


@pytest.mark.parametrize("scores", [None, "zarr"])
@pytest.mark.parametrize("by", ["label", {"few": [3, 1], "others": list(range(4, 20))}])
def test_every_query_has_them(by: Any, scores: str | None) -> None:
    interpret(checked(groups=by, scores=scores), "run")
    reader = DatasetReader.from_config(CONFIG["dataset_reader"])
    train, test = reader.read("train"), reader.read("test")
    interpreter = InfluenceInterpreter.by_name("exact")(
        load_archive("run/model").module, train, damping=0.1, weight_decay=0.05
    )
    expected = interpreter.group_influence(test, by)
    lines = list(read_lines(Path("run/interpretations.jsonl")))
    assert list(lines[0]) == ["query", "helpful", "harmful", "scores", "groups", "diagnostics"]
    for row, line in enumerate(lines):
        groups = line["groups"]
        assert [group["score"] for group in groups] == sorted(
            (group["score"] for group in groups), reverse=True
        )
        for group in groups:
            place = expected.names.index(group["group"])
            assert group["size"] == expected.sizes[place]
            np.testing.assert_allclose(group["score"], expected.scores[row, place], rtol=1e-9)
            assert expected.loss_changes is not None
            change = expected.loss_changes[row, place]
            np.testing.assert_allclose(group["loss_change_if_removed"], change, rtol=1e-9)


def test_without_the_key_there_are_none() -> None:
    interpret(checked(), "run")
    assert all("groups" not in line for line in read_lines(Path("run/interpretations.jsonl")))


def test_groups_that_are_not_there_are_found_before_training() -> None:
    with pytest.raises(InterpreterError, match=r'groups by field "row\.z": training example 0'):
        interpret(checked(groups={"field": "row.z"}), "run")
    with pytest.raises(InterpreterError, match='group "all" holds all 24 training examples'):
        interpret(checked(groups={"all": list(range(24))}), "run")
    assert not Path("run").exists()


def test_what_is_no_group_is_a_config_error(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.json").write_text(json.dumps({**CONFIG, "groups": "labels"}))
    assert main(["interpret", "config.json", "-s", "run"]) == 2
    assert '"labels"' in capsys.readouterr().err
