"""References in float64: plain torch, slow, and independent of every package, hessinf's included.

They say what is right, and are not timed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from benchmarks.peers import dense_references, kronecker_references
from benchmarks.peers.clock import Clock
from benchmarks.peers.workloads import Workload


def reference(
    workload: Workload, clock: Clock, compute: Callable[[Workload], np.ndarray]
) -> np.ndarray:
    """Compute the scores ``[Q, N]`` of a workload."""
    with clock.stage("score"):
        return compute(workload)


KRONECKER = {
    f"{name}{suffix}": functools.partial(
        kronecker_references.kronecker, fisher=fisher, corrected=name == "ekfac"
    )
    for name in ("kfac", "ekfac")
    for suffix, fisher in (
        ("", kronecker_references.sampled),
        ("-type-2", kronecker_references.type_2),
    )
}

METHODS = {
    name: functools.partial(reference, compute=compute)
    for name, compute in {
        "gradient-dot": dense_references.gradient_dot,
        "exact": dense_references.exact,
        "ggn": dense_references.gauss_newton,
        "ggn-float64": dense_references.gauss_newton,
        "lissa": dense_references.lissa,
        **KRONECKER,
    }.items()
}
