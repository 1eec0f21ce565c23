"""One measurement, in a process of its own: ``python -m benchmarks.peers.measure``.

    python -m benchmarks.peers.measure PEER METHOD FOLDER OUT [--warm]

runs a method of an adapter on the workload in FOLDER, and writes OUT.npy, its scores ``[Q, N]``,
and OUT.json: wall and processor seconds by stage, the largest resident memory, a product of
matrices for comparison, versions and threads. It runs with the interpreter of the peer's
environment and the repository on ``PYTHONPATH``.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers.clock import Clock
from benchmarks.peers.memory import peak_memory
from benchmarks.peers.workloads import Workload, load

Method = Callable[[Workload, Clock], np.ndarray]

KERNEL_SHAPE = (2048, 1024, 4096)
KERNEL_FLOPS = 2 * 2048 * 1024 * 4096
"""17.2 GFLOP: one product of matrices in single precision."""

KERNEL_RUNS = 3


def time_kernel() -> dict[str, float]:
    """Time the product of matrices that seconds are compared with: the median of three."""
    rows, inner, columns = KERNEL_SHAPE
    left, right = torch.rand(rows, inner), torch.rand(inner, columns)  # [M, K], [K, N]
    product = torch.empty(rows, columns)  # [M, N]
    torch.mm(left, right, out=product)
    clocks = []
    for _ in range(KERNEL_RUNS):
        clock = Clock()
        with clock.stage("kernel"):
            torch.mm(left, right, out=product)
        clocks.append(clock)
    return {
        "wall": statistics.median(clock.wall["kernel"] for clock in clocks),
        "cpu": statistics.median(clock.processor["kernel"] for clock in clocks),
    }


def method_of(peer: str, name: str) -> Method:
    """Find a method of an adapter; a package that is not installed fails here."""
    methods: dict[str, Method] = importlib.import_module(
        f"benchmarks.peers.adapters.{peer}"
    ).METHODS
    if name not in methods:
        raise SystemExit(f"{peer} has no {name} here; it has {', '.join(sorted(methods))}")
    return methods[name]


def checked(scores: Any, workload: Workload) -> np.ndarray:
    """Refuse scores that are not finite, or not one for each query and training example."""
    array = np.asarray(scores)
    expected = (len(workload.test[0]), len(workload.train[0]))
    if array.shape != expected:
        raise SystemExit(f"scores have the shape {array.shape}, expected {expected}")
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise SystemExit(f"{count} of {array.size} scores are not finite")
    return array


def versions() -> dict[str, str]:
    """Name what is installed here and bears on speed."""
    known = {"python": platform.python_version()}
    for name in (
        *("torch", "numpy", "scipy"),
        *("pydvl", "kronfluence", "dattri", "captum", "curvlinops-for-pytorch", "traker"),
    ):
        try:
            known[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return known


def measure(peer: str, name: str, folder: Path, out: Path, *, warm: bool = False) -> None:
    """Run a method, and write what it took and what it found.

    Parameters
    ----------
    peer, name
        The adapter, and one of its methods.
    folder
        The workload.
    out
        Where results go, without a suffix.
    warm
        Whether what torch imports at the first use of ``torch.func`` and its like (its compiler and
        sympy, more than a second) is imported before the clock runs. A fresh process, as a user has
        it, pays for that.
    """
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    workload = load(folder)
    method = method_of(peer, name)
    if warm:
        importlib.import_module("torch._dynamo")
    # Libraries of torch that start at the first use of anything are nobody's work.
    small = torch.rand(8, 8, requires_grad=True)  # [8, 8]
    (small @ small).sum().backward()
    started = peak_memory()
    clock = Clock()
    scores = checked(method(workload, clock), workload)
    # The product comes last: large matrices that were freed change how memory is handed out.
    facts = {
        "peer": peer,
        "method": name,
        "workload": workload.name,
        "warm": warm,
        "shape": list(scores.shape),
        "stages": {
            stage: {"wall": clock.wall[stage], "cpu": clock.processor[stage]}
            for stage in clock.wall
        },
        "peak_bytes": peak_memory(),
        "start_bytes": started,
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "kernel": time_kernel(),
    }
    np.save(out.with_suffix(".npy"), scores)
    out.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", help="the name of an adapter, such as hessinf or kronfluence")
    parser.add_argument("method", help="one of its METHODS, such as ekfac")
    parser.add_argument("folder", type=Path, help="a workload that was prepared")
    parser.add_argument("out", type=Path, help="where .json and .npy go")
    parser.add_argument(
        "--warm", action="store_true", help="import torch._dynamo before the clock runs"
    )
    given = parser.parse_args(arguments)
    measure(given.peer, given.method, given.folder, given.out, warm=given.warm)


if __name__ == "__main__":
    main(sys.argv[1:])
