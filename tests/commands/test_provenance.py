"""What ``provenance.json`` says."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

from hessinf.commands import provenance
from hessinf.commands.interpret_run import interpret
from hessinf.commands.provenance import (
    ChangedDataError,
    continued,
    latest_command,
    model_facts,
    note_model,
)
from hessinf.commands.run_config import load_checked_config
from hessinf.commands.run_directory import read_provenance
from hessinf.data import DatasetReader

READER = {"type": "synthetic", "kind": "ring", "train_size": 24, "test_size": 4}

LIBRARY = f"""{{
  dataset_reader: {json.dumps(READER)},
  train_data_path: 'train',
  test_data_path: 'test',
  model: 'logistic-regression',
  objective: 'binary-cross-entropy',
  trainer: {{ optimizer: 'lbfgs', epochs: 5, weight_decay: 0.1 }},
  interpreter: {{ type: 'exact', damping: 0.1 }},
}}
"""

CONFIG = "(import 'lib.libsonnet') + { seed: 3, top_k: std.parseInt(std.native('env')('K', '2')) }"

PLUGIN = '''"""A plugin."""
'''


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a config and its run."""
    folder = tmp_path_factory.mktemp("provenance")
    (folder / "lib.libsonnet").write_text(LIBRARY)
    (folder / "config.jsonnet").write_text(CONFIG)
    (folder / "a_plugin_of_provenance.py").write_text(PLUGIN)
    checked = load_checked_config(
        folder / "config.jsonnet",
        overrides='{"include": ["a_plugin_of_provenance.py"]}',
        settings=["top_k=3"],
    )
    interpret(checked, folder / "run")
    return folder


@pytest.fixture(scope="module")
def facts(folder: Path) -> dict[str, Any]:
    return read_provenance(folder / "run")


class TestRun:
    def test_keys(self, facts: dict[str, Any]) -> None:
        assert list(facts) == [
            *("hessinf", "started", "command", "python", "platform", "packages", "device"),
            *("seed", "plugins", "config", "data", "model"),
        ]

    def test_versions(self, facts: dict[str, Any]) -> None:
        for package in ("torch", "numpy", "scikit-learn", "jsonnet", "safetensors"):
            assert facts["packages"][package] == version(package)
        assert facts["python"] == platform.python_version()

    def test_device_and_seed(self, facts: dict[str, Any]) -> None:
        kind = "cuda" if torch.cuda.is_available() else "cpu"
        assert facts["device"].startswith(f"{kind}: ")
        assert facts["seed"] == 3

    def test_data(self, facts: dict[str, Any]) -> None:
        reader = DatasetReader.from_config(READER)
        assert facts["data"] == {
            split: {"examples": len(data), "sha256": data.fingerprint()}
            for split, data in (("train", reader.read("train")), ("test", reader.read("test")))
        }

    def test_config_files(self, folder: Path, facts: dict[str, Any]) -> None:
        config = facts["config"]
        assert config["file"] == str(folder / "config.jsonnet")
        assert {Path(file).name: value for file, value in config["sha256"].items()} == {
            name: sha256(folder / name) for name in ("config.jsonnet", "lib.libsonnet")
        }
        assert "--set top_k=3" in config["overrides"]
        assert list(config["environment"]) == ["K"]

    def test_plugins(self, facts: dict[str, Any]) -> None:
        plugin = facts["plugins"][-1]
        assert plugin["name"] == "a_plugin_of_provenance.py"
        assert plugin["route"].startswith("include in ")
        assert plugin["modules"] == ["a_plugin_of_provenance"]

    def test_weights(self, folder: Path, facts: dict[str, Any]) -> None:
        weights = folder / "run" / "model" / "weights.safetensors"
        assert facts["model"] == {"sha256": sha256(weights), "loaded": {}}

    def test_weights_of_an_archive(self, folder: Path, tmp_path: Path) -> None:
        archive = folder / "run" / "model"
        model = json.dumps({"type": "archive", "path": str(archive)})
        checked = load_checked_config(
            folder / "config.jsonnet", settings=[f"model={model}", "trainer=null"]
        )
        interpret(checked, tmp_path / "run")
        weights = archive / "weights.safetensors"
        assert read_provenance(tmp_path / "run")["model"] == {
            "sha256": sha256(tmp_path / "run" / "model" / "weights.safetensors"),
            "loaded": {str(weights): sha256(weights)},
        }

    def test_weights_from_a_file(self, tmp_path: Path) -> None:
        for name in ("weights.safetensors", "start.pt"):
            (tmp_path / name).write_bytes(name.encode())
        (tmp_path / "model").mkdir()
        (tmp_path / "weights.safetensors").rename(tmp_path / "model" / "weights.safetensors")
        (tmp_path / "provenance.json").write_text('{"hessinf": null}')
        start = tmp_path / "start.pt"
        note_model(tmp_path, {"type": "mlp", "weights": str(start)})
        assert read_provenance(tmp_path)["model"] == {
            "sha256": sha256(tmp_path / "model" / "weights.safetensors"),
            "loaded": {str(start): sha256(start)},
        }
        start.unlink()  # when a run goes on, the file may be gone
        note_model(tmp_path, {"type": "mlp", "weights": str(start)})

    def test_facts_of_a_model_without_sources(self, folder: Path) -> None:
        assert model_facts(folder / "run" / "model", [])["loaded"] == {}


EARLIER: dict[str, Any] = {
    "hessinf": "0.1.0",
    "started": "2026-01-01T00:00:00+00:00",
    "command": "hessinf interpret a.jsonnet -s runs/a",
    "packages": {"torch": "2.6", "numpy": "2.0"},
    "device": "cpu: x86_64, 1 threads",
    "data": {"train": {"examples": 5, "sha256": "a" * 64}, "test": None},
    "model": {"sha256": "c" * 64},
}
NOW: dict[str, Any] = {
    **EARLIER,
    "started": "2026-01-02T00:00:00+00:00",
    "command": "hessinf interpret a.jsonnet -s runs/a -r",
    "model": None,
}


class TestContinued:
    def test_attempts_are_listed(self) -> None:
        once = continued(EARLIER, NOW, Path("runs/a"))
        assert once == {
            **EARLIER,
            "resumed": [
                {key: NOW[key] for key in ("started", "command", "hessinf", "packages", "device")}
            ],
        }
        assert len(continued(once, NOW, Path("runs/a"))["resumed"]) == 2
        assert latest_command(EARLIER) == "hessinf interpret a.jsonnet -s runs/a"
        assert latest_command(once) == "hessinf interpret a.jsonnet -s runs/a -r"

    def test_queries_of_a_run_that_only_trained(self) -> None:
        queries = {"examples": 2, "sha256": "b" * 64}
        now = {**NOW, "data": {**EARLIER["data"], "test": queries}}
        assert continued(EARLIER, now, Path("a"))["data"]["test"] == queries
        kept = continued({**EARLIER, "data": now["data"]}, NOW, Path("a"))
        assert kept["data"]["test"] == queries

    def test_changed_data(self) -> None:
        now = {**NOW, "data": {"train": {"examples": 1200, "sha256": "b" * 64}, "test": None}}
        with pytest.raises(ChangedDataError) as refused:
            continued(EARLIER, now, Path("runs/a"))
        assert str(refused.value) == (
            "the train data have changed since the run in runs/a was started (then 5 examples, "
            "sha256 aaaaaaaaaaaa…; now 1,200, bbbbbbbbbbbb…); put the earlier data back, or "
            "replace the run (-f)"
        )

    def test_one_thread_is_what_earlier_versions_called_1_threads(self, monkeypatch: Any) -> None:
        messages: list[str] = []
        monkeypatch.setattr(
            provenance.logger, "warning", lambda text, *values: messages.append(text % values)
        )
        continued(EARLIER, {**NOW, "device": "cpu: x86_64, 1 thread"}, Path("runs/a"))
        assert messages == []
        continued(EARLIER, {**NOW, "device": "cpu: x86_64, 2 threads"}, Path("runs/a"))
        assert messages == [
            "the run in runs/a goes on with another device (then cpu: x86_64, 1 thread, now cpu: "
            "x86_64, 2 threads): results may differ from those of an undisturbed run"
        ]

    def test_other_surroundings_are_told(self, monkeypatch: Any) -> None:
        messages: list[str] = []
        monkeypatch.setattr(
            provenance.logger, "warning", lambda text, *values: messages.append(text % values)
        )
        now = {**NOW, "packages": {"torch": "2.7", "numpy": "2.0"}}
        continued(EARLIER, now, Path("runs/a"))
        assert messages == [
            "the run in runs/a goes on with another torch (then 2.6, now 2.7): results may differ "
            "from those of an undisturbed run"
        ]
