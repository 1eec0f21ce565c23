"""Tiny workloads, and a stand-in for the processes that measure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.peers import child, networks, preparation, workloads
from benchmarks.peers.session import HERE, PREPARED_FROM, Session
from benchmarks.peers.store import hash_of

CLASSES = 3


def tiny_cnn() -> nn.Sequential:
    return nn.Sequential(
        nn.Unflatten(1, (1, 4, 4)),
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 2, 3, stride=2),
        nn.Flatten(),
        nn.Linear(2, CLASSES),
    )


TINY = {
    "tiny-mlp": ("classification", lambda: networks.mlp(4, 5, CLASSES)),
    "tiny-cnn": ("classification", tiny_cnn),
    "tiny-regression": ("regression", lambda: networks.mlp(4, 5, 1)),
    "tiny-transformer": (
        "language-model",
        lambda: networks.CharacterTransformer(width=8, heads=2, blocks=1),
    ),
}


def examples(task: str, width: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    drawn = np.random.default_rng(seed)
    if task == "language-model":
        tokens = drawn.integers(0, networks.VOCABULARY, (count, 7))
        return tokens[:, :-1].copy(), tokens[:, 1:].copy()
    inputs = drawn.normal(size=(count, width)).astype(np.float32)
    if task == "regression":
        return inputs, drawn.normal(size=(count, 1)).astype(np.float32)
    return inputs, drawn.integers(0, CLASSES, count)


@pytest.fixture
def write_workload(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a tiny workload as preparation does, without training."""
    for name, (task, make) in TINY.items():
        monkeypatch.setitem(networks.NETWORKS, name, make)
        monkeypatch.setitem(workloads.TASKS, name, task)

    def write(name: str, folder: Path, train: int = 12, queries: int = 3) -> Path:
        task, make = TINY[name]
        width = 16 if name == "tiny-cnn" else 4
        folder.mkdir(parents=True)
        for part, count, seed in (("train", train, 0), ("test", queries, 1)):
            inputs, targets = examples(task, width, count, seed)
            np.save(folder / f"{part}_inputs.npy", inputs)
            np.save(folder / f"{part}_targets.npy", targets)
        torch.manual_seed(0)
        model = make()
        torch.save(model.state_dict(), folder / "weights.pt")
        facts = {
            "name": name,
            "task": task,
            "train": train,
            "queries": queries,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "fingerprint": preparation.fingerprint(folder),
        }
        (folder / "workload.json").write_text(json.dumps(facts), encoding="utf-8")
        return folder

    return write


class FakeProcesses:
    """Stands for :func:`child.run`: by adapter, the seconds it takes, or how it fails.

    ``asked`` lists the adapters and methods in the order in which they were started.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.endings: dict[str, child.Ending] = {}
        self.peaks: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []
        self.environments: list[dict[str, str]] = []

    def __call__(self, command: Sequence[str], **limits: Any) -> child.Ending:
        assert command[1:3] == ["-m", "benchmarks.peers.measure"]
        peer, method, folder, out, *warm = command[3:]
        self.asked.append((peer, f"{method}, warm" if warm == ["--warm"] else method))
        self.environments.append(limits["environment"])
        if peer in self.endings:
            return self.endings[peer]
        facts = json.loads((Path(folder) / "workload.json").read_text(encoding="utf-8"))
        drawn = np.random.default_rng(0)
        scores = drawn.normal(size=(facts["queries"], facts["train"]))
        taken = self.seconds.get(peer, 1.0) / (2 if warm else 1)
        found = {
            "peer": peer,
            "method": method,
            "stages": {
                "fit": {"wall": 2 * taken, "cpu": 0.25 * taken},
                "score": {"wall": 2 * taken, "cpu": 0.75 * taken},
            },
            "peak_bytes": self.peaks.get(peer, 300_000_000),
            "threads": 1,
            "versions": {peer: "1.2.3"},
            "kernel": {"wall": 0.5, "cpu": 0.2},
        }
        np.save(Path(out).with_suffix(".npy"), scores)
        Path(out).with_suffix(".json").write_text(json.dumps(found), encoding="utf-8")
        return child.Ending("finished", 4 * taken + 1, taken + 1, "")


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> FakeProcesses:
    fake = FakeProcesses()
    monkeypatch.setattr(child, "run", fake)
    return fake


@pytest.fixture
def make_session(
    tmp_path: Path, write_workload: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Session]:
    """Makes sessions in the same directory, with the tiny MLP ready and every package installed."""
    directory = tmp_path / "peers"
    write_workload("tiny-mlp", directory / "workloads" / "tiny-mlp")
    stamp = directory / "workloads" / "tiny-mlp.made-from"
    stamp.write_text(hash_of(HERE / file for file in PREPARED_FROM), encoding="utf-8")
    monkeypatch.setattr(Session, "interpreter", lambda self, peer: Path("python"))

    def make(**arguments: Any) -> Session:
        return Session(directory=directory, **{"runs": 2, **arguments})

    return make
