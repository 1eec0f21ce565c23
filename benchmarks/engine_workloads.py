"""Where the methods spend their flops, bytes and seconds: workload by workload, stage by stage.

Methods and workloads are those that :mod:`benchmarks.peers` compares. Each is run plainly first,
and then with every operation watched, which takes longer: seconds of stages are those inside of
operations, and what is left of the plain run is Python and what PyTorch does between them.
"""

from __future__ import annotations

import contextlib
import functools
import statistics
from collections.abc import Iterator
from pathlib import Path

import hessinf
from benchmarks.engine_rows import Row
from benchmarks.matmul_rate import Yardstick
from benchmarks.operations import Key, Operations, OperationTable, Work
from benchmarks.peers.adapters.hessinf import METHODS
from benchmarks.peers.clock import Clock
from benchmarks.peers.preparation import prepare
from benchmarks.peers.workloads import Workload, load

PACKAGE = Path(hessinf.__file__).parent

PRODUCTS = "products with the curvature"
INVERSES = "decompositions, inverses and solves"

STAGES: dict[str, str] = {
    "gradients/gradients": "gradients as tensors: products, pieces",
    "gradients/curvature_products": PRODUCTS,
    "gradients/hessian_products": PRODUCTS,
    "gradients/gauss_newton_products": PRODUCTS,
    "gradients/reverse_mode": PRODUCTS,
    "gradients/block_vectors": PRODUCTS,
    "gradients/lineari": PRODUCTS,
    "gradients/chain_linearization": PRODUCTS,
    "gradients/factor_linearization": PRODUCTS,
    "gradients/layer_chain": PRODUCTS,
    "gradients/": "forward and backward",
    "curvature/kronecker_factors": "covariances",
    "curvature/symmetric_product": "covariances",
    "curvature/kronecker_basis": "eigendecompositions",
    "curvature/kronecker_eigenvalues": "corrected eigenvalues",
    "curvature/kronecker_blocks": "Kronecker inverse: rotations",
    "curvature/kronecker": "Kronecker fit, the rest of it",
    "curvature/fisher": "Fisher: columns and targets",
    "curvature/dual": "dual form",
    "curvature/cholesky": INVERSES,
    "curvature/spectral": INVERSES,
    "curvature/inversion": INVERSES,
    "curvature/indefinite": INVERSES,
    "curvature/hessian": "assembly of the exact Hessian",
    "curvature/": "assembly of dense matrices",
    "scores/eigenbasis": "scores in the eigenbasis",
    "scores/top_k": "ranking",
    "scores/": "score contraction",
    "solvers/": "solver",
    "models/": "losses and targets",
    "data/": "data",
    "interpreters/": "interpreter: passes and blocks of queries",
}
"""What the source files of hessinf do; the first whose key begins a path counts."""

BETWEEN = "between operations: Python, dispatch"

LONGEST = 8
"""How many operations of each work are listed."""


def stage_of(path: str) -> str:
    """Name the stage of a source file."""
    return next((said for key, said in STAGES.items() if path.startswith(key)), path)


class WatchingClock(Clock):
    """A clock that also watches the operations of the stages it times."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, OperationTable] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time and watch the block."""
        with super().stage(name), Operations([PACKAGE]) as counted:
            yield
        self.tables[name] = counted.table


def prepared(name: str, folder: Path) -> Workload:
    """Load a workload, which is prepared at its first use."""
    target = folder / name
    if not (target / "workload.json").exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        prepare(name, target)
    return load(target)


def measure(workload: Workload, method: str, stick: Yardstick, runs: int) -> list[Row]:
    """Measure a method on a workload: the whole, its stages, its longest operations.

    Parameters
    ----------
    workload
        The work.
    method
        One of the adapter's ``METHODS``.
    stick
        How fast matrix products are.
    runs
        How often it is run plainly; the median counts.
    """
    run = functools.partial(METHODS[method], workload)
    plain: list[Clock] = []
    for _ in range(runs):
        plain.append(Clock())
        run(plain[-1])
    watching = WatchingClock()
    run(watching)
    rows = []
    for phase, table in watching.tables.items():
        seconds = statistics.median(clock.processor[phase] for clock in plain)
        name = f"{workload.name}, {method}, {phase}"
        rows += phase_rows(name, table, seconds, stick)
    return rows


def phase_rows(name: str, table: OperationTable, seconds: float, stick: Yardstick) -> list[Row]:
    """Describe fitting or scoring.

    Parameters
    ----------
    name
        Of workload, method and phase.
    table
        Its operations.
    seconds
        Of the plain run.
    stick
        How fast matrix products are.
    """
    rates, kernel = stick.rates, stick.kernel

    def share(work: Work, ideal: float) -> float | None:
        return ideal / work.seconds if work.flops and work.seconds else None

    total = table.total
    rows = [
        Row(
            "work",
            name,
            seconds,
            seconds / kernel,
            total.flops,
            total.bytes,
            table.ideal_seconds(rates) / seconds if seconds else None,
        )
    ]
    ideals: dict[str, float] = {}
    for key, work in table.entries.items():
        if work.flops:
            stage = stage_of(key[0])
            ideals[stage] = ideals.get(stage, 0.0) + work.flops / rates[key[3]]
    for stage, work in table.by(lambda key: stage_of(key[0])).items():
        rows.append(
            Row(
                "stage",
                f"{name}: {stage}",
                work.seconds,
                work.seconds / kernel,
                work.flops,
                work.bytes,
                share(work, ideals.get(stage, 0.0)),
            )
        )
    between = seconds - total.seconds
    rows.append(Row("stage", f"{name}: {BETWEEN}", between, between / kernel))
    longest = sorted(table.entries.items(), key=lambda item: -item[1].seconds)[:LONGEST]
    for key, work in longest:
        rows.append(
            Row(
                "operation",
                f"{name}: {operation_name(key)}",
                work.seconds,
                work.seconds / kernel,
                work.flops,
                work.bytes,
                share(work, work.flops / rates[key[3]] if work.flops else 0.0),
                note=f"{work.calls} times, in {key[0]}",
            )
        )
    return rows


def operation_name(key: Key) -> str:
    """Say an operation with its shapes."""
    _, operation, shapes, dtype = key
    return f"{operation} {shapes} {dtype}"
