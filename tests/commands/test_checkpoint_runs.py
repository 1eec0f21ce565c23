"""Runs over several checkpoints of a model: from the config to the results, and resumed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr

from hessinf.commands import interpret_run
from hessinf.commands.main import main
from hessinf.commands.provenance import ChangedDataError
from hessinf.commands.run_config import load_checked_config
from hessinf.commands.run_directory import read_provenance
from hessinf.commands.summary import summarize
from hessinf.data import DatasetReader
from hessinf.display.numbers import setting
from hessinf.interpreters import InfluenceInterpreter
from hessinf.models import ModelError, load_archive

CONFIG: dict[str, Any] = {
    "dataset_reader": {"type": "synthetic", "kind": "ring", "train_size": 24, "test_size": 5},
    "train_data_path": "train",
    "test_data_path": "test",
    "model": {"type": "mlp", "hidden_sizes": [3], "activation": "tanh", "dtype": "float64"},
    "objective": "cross-entropy",
    "trainer": {"optimizer": "lbfgs", "epochs": 20, "weight_decay": 0.05},
    "interpreter": {"type": "ggn", "damping": {"relative": 0.1}, "query_batch_size": 2},
    "top_k": 3,
    "device": "cpu",
    "seed": 1,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a model trained to the end, and two checkpoints on the way."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HESSINF_PROGRESS", "0")
    Path("config.json").write_text(json.dumps(CONFIG))
    for epochs in (3, 6):
        options = f"train config.json -s early/{epochs} --set trainer.epochs={epochs}".split()
        assert main(options) == 0
    weights = load_archive(tmp_path / "early/6/model").module.state_dict()
    torch.save(weights, tmp_path / "six.pt")
    return tmp_path


CHECKPOINTS = ["early/3", "six.pt"]


def checked(**interpreter: Any) -> Any:
    given = {**CONFIG["interpreter"], "checkpoints": CHECKPOINTS, **interpreter}
    Path("several.json").write_text(json.dumps({**CONFIG, "interpreter": given, "scores": "zarr"}))
    return load_checked_config("several.json")


def scores_of(run: str) -> np.ndarray:
    return np.asarray(zarr.open_array(f"{run}/scores.zarr", mode="r")[:])


def test_scores_are_the_mean_over_checkpoints(folder: Path) -> None:
    interpret_run.interpret(checked(), "run")
    reader = DatasetReader.from_config(CONFIG["dataset_reader"])
    train, test = reader.read("train"), reader.read("test")
    method = InfluenceInterpreter.by_name("ggn")
    singles = [
        method(
            load_archive(f"early/{epochs}/model").module,
            train,
            weight_decay=0.05,
            damping={"relative": 0.1},
        )
        for epochs in (3, 6)
    ]
    expected = np.mean([single.scores(test) for single in singles], axis=0)
    np.testing.assert_allclose(scores_of("run"), expected, rtol=1e-8)
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert metrics["checkpoints"] == CHECKPOINTS
    assert metrics["damping"] == {
        path: single.damping_ for path, single in zip(CHECKPOINTS, singles, strict=True)
    }
    low, high = sorted(metrics["damping"].values())
    shown = summarize(interpret_run.FinishedInterpretations(Path("run"), was_complete=True))
    assert f"  note     Damping λ is {setting(low)} to {setting(high)}, " in shown


def test_provenance_has_their_hashes(folder: Path) -> None:
    interpret_run.interpret(checked(), "run")
    files = {"early/3": "early/3/model/weights.safetensors", "six.pt": "six.pt"}
    assert read_provenance(Path("run"))["checkpoints"] == {
        path: hashlib.sha256(Path(file).read_bytes()).hexdigest() for path, file in files.items()
    }


class _StoppedError(Exception):
    """Somebody pressed a key."""


def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start a run, and stop it after the first of three blocks of queries."""
    original = interpret_run.interpret_block

    def once(interpreter: Any, queries: Any, start: int, *rest: Any) -> Any:
        if start:
            raise _StoppedError
        return original(interpreter, queries, start, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(interpret_run, "interpret_block", once)
        with pytest.raises(_StoppedError):
            interpret_run.interpret(checked(), "run")


def test_a_resumed_run_gives_the_same_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpret_run.interpret(checked(), "undisturbed")
    interrupted(monkeypatch)

    def refuse(self: Any) -> Any:
        raise AssertionError("the factors of all checkpoints are there")

    with monkeypatch.context() as patch:
        patch.setattr(InfluenceInterpreter.by_name("ggn"), "fit", refuse)
        interpret_run.interpret(checked(), "run", resume=True)
    for name in ("interpretations.jsonl", "factors/factors.safetensors"):
        assert Path("run", name).read_bytes() == Path("undisturbed", name).read_bytes()
    np.testing.assert_array_equal(scores_of("run"), scores_of("undisturbed"))


def test_a_run_does_not_go_on_with_other_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(monkeypatch)
    kept = Path("six.pt").read_bytes()
    weights = torch.load("six.pt")
    torch.save({name: value * 2 for name, value in weights.items()}, "six.pt")
    message = (
        'the checkpoint "six.pt" has changed since the run in run was started; put the earlier '
        "one back, or replace the run (-f)"
    )
    with pytest.raises(ChangedDataError, match=f"^{re.escape(message)}$"):
        interpret_run.interpret(checked(), "run", resume=True)
    Path("six.pt").unlink()
    with pytest.raises(ChangedDataError, match=r'^the checkpoint "six\.pt" is not there any more'):
        interpret_run.interpret(checked(), "run", resume=True)
    Path("six.pt").write_bytes(kept)
    assert not interpret_run.interpret(checked(), "run", resume=True).was_complete


def test_what_does_not_fit_is_found_before_training(folder: Path) -> None:
    for path, said in (
        ("nowhere.pt", r'the weights file "nowhere\.pt" does not exist'),
        ("config.json", "cannot be read as a PyTorch checkpoint"),
    ):
        with pytest.raises(ModelError, match=said):
            interpret_run.interpret(checked(checkpoints=[path]), "run")
        assert not Path("run").exists()


@pytest.mark.parametrize("name", ["gradient-dot", "gradient-cosine", "tracin"])
def test_self_influence_and_methods_without_damping(name: str, folder: Path) -> None:
    Path("several.json").write_text(
        json.dumps({**CONFIG, "interpreter": {"type": name, "checkpoints": CHECKPOINTS}})
    )
    assert main(["self-influence", "several.json", "-s", "own"]) == 0
    assert json.loads(Path("own/metrics.json").read_text())["damping"] is None
    assert main(["interpret", "several.json", "-s", "run"]) == 0
    first = json.loads(Path("run/interpretations.jsonl").read_text().splitlines()[0])
    assert first["helpful"][0]["loss_change_if_removed"] is None
    assert first["diagnostics"]["checkpoints"] == 2
