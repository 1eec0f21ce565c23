"""Scores of other packages for the very model, data and damping of a run of ours.

They run in the environments of ``python -m benchmarks.peers``, which this makes no new ones of:
where an environment is not there, its rows are not, and the table says so.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers import child, environments, workloads
from hessinf.commands import train_run
from hessinf.commands.run import read_data
from hessinf.commands.run_config import CheckedConfig
from hessinf.data import Dataset
from hessinf.models import load_archive
from hessinf.runtime.files import write_json_atomically

ENVIRONMENTS = environments.ROOT / "build" / "peers"

SECONDS = 1800.0
MEMORY = 12 * 2**30

TASKS = {"cross-entropy": "classification", "mean-squared-error": "regression"}


@dataclass(frozen=True)
class Rival:
    """A method of another package.

    Parameters
    ----------
    peer
        The package: the name of an adapter of ``benchmarks.peers``.
    method
        One of the adapter's METHODS.
    """

    peer: str
    method: str


def scores(
    checked: CheckedConfig, rivals: Mapping[str, Rival], damping: float, folder: Path
) -> tuple[dict[str, str], list[str]]:
    """Let other packages score.

    Parameters
    ----------
    checked
        A run whose network is a perceptron with rectified linear units.
    rivals
        By the names of their rows.
    damping
        λ, for all.
    folder
        Where the model, the work and the scores are kept: what is there is used again.

    Returns
    -------
    dict of str to str
        A ``.npy`` file ``[Q, N]`` for each row that there is.
    list of str
        Why there are no others, and what the others took.
    """
    files, said = {}, []
    for name, rival in rivals.items():
        environment = ENVIRONMENTS / rival.peer
        if not environments.is_complete(environment, environments.RECIPES[rival.peer]):
            said.append(f"{name}: not here, since {rival.peer} is not installed in build/peers")
            continue
        work = _workload(checked, damping, folder)
        out = folder / name
        facts = out.with_suffix(".json")
        if not facts.exists():
            ending = _run(environment, rival, work, out)
            if ending.how != "finished":
                said.append(f"{name}: {ending.how} ({ending.cpu:,.0f} CPU seconds) {ending.said}")
                continue
        stages = json.loads(facts.read_text(encoding="utf-8"))["stages"].values()
        said.append(f"{name}: {sum(stage['cpu'] for stage in stages):,.1f} CPU seconds")
        files[name] = str(out.with_suffix(".npy").resolve())
    return files, said


def _run(environment: Path, rival: Rival, work: Path, out: Path) -> child.Ending:
    unfinished = out.with_name(f"{out.name}-unfinished")
    ending = child.run(
        [
            *(str(environments.interpreter(environment)), "-m", "benchmarks.peers.measure"),
            *(rival.peer, rival.method, str(work), str(unfinished)),
        ],
        environment={
            **os.environ,
            "PYTHONPATH": str(environments.ROOT),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        },
        log=out.with_suffix(".log"),
        seconds=SECONDS,
        memory=MEMORY,
    )
    if ending.how == "finished":
        for suffix in (".npy", ".json"):  # the facts last: where they are, the scores are whole
            os.replace(unfinished.with_suffix(suffix), out.with_suffix(suffix))
    return ending


def _workload(checked: CheckedConfig, damping: float, folder: Path) -> Path:
    """Train the model of a run, and write it down with its data as other packages are given it."""
    work = folder / "work"
    if (work / "workload.json").exists():
        return work
    train_run.train(checked, folder / "model", resume=True)
    config = checked.build()
    data = read_data(config, test=True)
    module = load_archive(folder / "model" / "model").module
    work.mkdir(parents=True, exist_ok=True)
    sizes = linear_sizes(module)
    name = workloads.SIZES + "-".join(map(str, sizes))
    weights = zip(workloads.network(name).state_dict(), module.state_dict().values(), strict=True)
    torch.save({key: value.clone() for key, value in weights}, work / "weights.pt")
    for split, dataset in (("train", data.train), ("test", data.test)):
        inputs, targets = _columns(dataset)
        np.save(work / f"{split}_inputs.npy", inputs)
        np.save(work / f"{split}_targets.npy", targets)
    kind = config.objective.registered_name()
    facts: dict[str, Any] = {"name": name, "task": TASKS[kind or ""], "damping": damping}
    write_json_atomically(work / "workload.json", facts)
    return work


def linear_sizes(module: torch.nn.Module) -> list[int]:
    """Return the widths of a perceptron, from its inputs to its outputs."""
    layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
    for first, second in itertools.pairwise(layers):
        if first.out_features != second.in_features:
            raise ValueError("the model is no perceptron: its layers do not follow each other")
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def _columns(dataset: Dataset | None) -> tuple[np.ndarray, np.ndarray]:
    if dataset is None or dataset.columns is None:
        raise ValueError("the data are no columns of numbers")
    inputs, targets = dataset.columns.inputs, dataset.columns.targets
    if not isinstance(inputs, torch.Tensor):
        raise ValueError("the inputs are no tensor")
    return inputs.flatten(1).numpy(), targets.numpy()  # [n, F], [n, ...]
