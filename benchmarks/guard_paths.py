"""One main path of hessinf, run and measured in this process: the guard starts it for each tree.

``python guard_paths.py PATH OUT [--scale tiny]``: OUT.json gets the processor seconds of the path
and of a matrix product, and the peak memory; OUT.npy the scores. What is imported as ``hessinf`` is
the tree's that is being measured: this file uses only what all versions have.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

KERNEL = "kernel"
"""Asks for the matrix product alone, in place of a path."""

SCALES = {"full": 1, "tiny": 40}
"""What numbers of examples and queries are divided by."""

Data = tuple["torch.Tensor", "torch.Tensor"]


@dataclass(frozen=True)
class Method:
    """A method for a network, that is fitted to the training digits and scores test digits.

    Parameters
    ----------
    name
        As it is registered.
    network
        The widths of an MLP, or "cnn".
    arguments
        Of the interpreter.
    queries
        How many test digits.
    """

    name: str
    network: tuple[int, ...] | str
    arguments: dict[str, Any] = field(default_factory=dict)
    queries: int = 180


@dataclass(frozen=True)
class MainPath:
    """What the guard watches.

    Parameters
    ----------
    says
        What it is, for people.
    methods
        One after another, in one process.
    config
        Of a run: then the path is a whole process of ``hessinf interpret`` instead.
    repeats
        How often in one process; the median counts.
    """

    says: str
    methods: tuple[Method, ...] = ()
    config: dict[str, Any] | None = None
    repeats: int = 1


SMALL, WIDE, TINY = (64, 64, 32, 10), (64, 512, 512, 10), (64, 32, 16, 10)

LISSA = {"damping": 0.1, "scale": 50.0, "lissa_batch_size": 64, "recursion_depth": {"steps": 100}}

EIGEN = {"type": "eigen", "negative": "flip"}

PATHS: dict[str, MainPath] = {
    "gradient-dot": MainPath(
        "gradient-dot scores: MLP 64-64-32-10 and 64-512-512-10",
        (Method("gradient-dot", SMALL), Method("gradient-dot", WIDE)),
        repeats=3,
    ),
    "ekfac": MainPath(
        "ekfac, fit and scores: MLP 64-512-512-10, and a CNN of 48,000 parameters",
        (
            Method("ekfac", WIDE, {"damping": 1e-3, "fisher": "monte-carlo"}),
            Method("ekfac", "cnn", {"damping": 1e-3, "fisher": "monte-carlo"}),
        ),
    ),
    "lissa": MainPath(
        "simple-influence (LiSSA, 100 steps): MLP 64-64-32-10",
        (Method("simple-influence", SMALL, LISSA),),
    ),
    "dense": MainPath(
        "ggn and exact, fit and scores: MLP 64-32-16-10",
        (
            Method("ggn", TINY, {"damping": 1e-2}),
            Method("exact", TINY, {"damping": 1e-2, "inversion": EIGEN}),
        ),
    ),
    "interpret": MainPath(
        "hessinf interpret, start to exit: digits, 10 epochs of training, ekfac",
        config={
            "dataset_reader": {"type": "digits", "test_ratio": 0.1},
            "train_data_path": "train",
            "test_data_path": "test",
            "model": {"type": "mlp", "hidden_sizes": [32, 16]},
            "objective": "cross-entropy",
            "trainer": {
                "optimizer": {"type": "sgd", "lr": 0.05, "momentum": 0.9},
                "epochs": 10,
                "batch_size": 32,
                "weight_decay": 1e-3,
            },
            "interpreter": {"type": "ekfac", "damping": {"relative": 0.1}},
            "top_k": 10,
        },
    ),
}
"""The five main paths, by the name that the guard prints."""


def digits(scale: int) -> tuple[Data, Data]:
    """Read training and test digits, ``[N, 64]`` and ``[180, 64]`` with their labels."""
    import numpy as np
    import torch
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    inputs = torch.tensor(pixels[order] / 16, dtype=torch.float32)  # [1797, 64]
    targets = torch.tensor(labels[order])  # [1797]
    test, train = slice(0, 180 // scale), slice(180, 180 + 1617 // scale)
    return (inputs[train], targets[train]), (inputs[test], targets[test])


def network(kind: tuple[int, ...] | str, train: Data) -> torch.nn.Module:
    """Make a network, and train it for three epochs, so that probabilities are like real ones."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers: list[nn.Module] = []
    if kind == "cnn":
        layers = [nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 32, 3, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(32, 64, 3, padding=1, stride=2), nn.ReLU(), nn.Flatten()]
        layers += [nn.Linear(1024, 28), nn.ReLU(), nn.Linear(28, 10)]
    else:
        for inputs, outputs in itertools.pairwise(map(int, kind)):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        layers.pop()
    module = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    for _ in range(3):
        for inputs, targets in zip(train[0].split(64), train[1].split(64), strict=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(inputs), targets).backward()
            optimizer.step()
    return module.eval()


def kernel_seconds() -> float:
    """Time 17.2 GFLOP of sgemm: processor seconds, the median of three."""
    import torch

    left, right = torch.ones(2048, 1024), torch.ones(1024, 4096)
    torch.mm(left, right)
    found = []
    for _ in range(3):
        started = time.process_time()
        torch.mm(left, right)
        found.append(time.process_time() - started)
    return statistics.median(found)


def run_methods(path: MainPath, out: Path, scale: int) -> None:
    """Run the methods of a path, and write what they took and gave."""
    import numpy as np

    from hessinf.interpreters import InfluenceInterpreter

    train, test = digits(scale)
    ready = [(one, network(one.network, train)) for one in path.methods]
    taken = []
    for _ in range(path.repeats):
        scores = []
        started = time.process_time()
        for one, module in ready:
            make = InfluenceInterpreter.by_name(one.name)
            interpreter = make(module, train, objective="cross-entropy", **one.arguments)
            queries = tuple(part[: one.queries] for part in test)
            interpreter.fit()
            scores.append(interpreter.scores(queries))
        taken.append(time.process_time() - started)
    # Linux counts in KiB, macOS in bytes. Before the matrix product, which needs memory too.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    np.save(out.with_suffix(".npy"), np.concatenate([np.ravel(one) for one in scores]))
    write(out, {"seconds": statistics.median(taken), "peak_bytes": peak})


def write(out: Path, found: dict[str, Any]) -> None:
    """Write the result, the matrix product's time beside it."""
    found |= {"kernel_seconds": kernel_seconds(), "hessinf": sys.modules["hessinf"].__file__}
    out.with_suffix(".json").write_text(json.dumps(found), encoding="utf-8")


def main() -> None:
    """Run one path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", choices=[*PATHS, KERNEL])
    parser.add_argument("out", type=Path)
    parser.add_argument("--scale", choices=list(SCALES), default="full")
    arguments = parser.parse_args()
    import hessinf  # noqa: F401 (its place is written down)

    if arguments.path == KERNEL:
        write(arguments.out, {})
    else:
        run_methods(PATHS[arguments.path], arguments.out, SCALES[arguments.scale])


if __name__ == "__main__":
    main()
