"""hessinf's scores."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from typing import Any

import numpy as np
from torch.utils.data import TensorDataset

import hessinf
from benchmarks.peers import settings
from benchmarks.peers.clock import Clock
from benchmarks.peers.workloads import Workload
from hessinf.interpreters import InfluenceInterpreter
from hessinf.models.language_modeling import LanguageModeling

# The other packages import all of themselves before they are timed.
for _room in (
    *("curvature", "data", "execution", "gradients", "interpreters", "models"),
    *("runtime", "scores", "solvers"),
):
    for _module in pkgutil.walk_packages([f"{hessinf.__path__[0]}/{_room}"], f"hessinf.{_room}."):
        importlib.import_module(_module.name)

OBJECTIVES: dict[str, Any] = {
    "classification": "cross-entropy",
    "language-model": LanguageModeling(shift=False),
    "regression": "mean-squared-error",
}

MEMORY_LIMITS = {"transformer": 1.25}
"""GiB that are planned for, where the default would take more than the leanest package does."""


def scores(workload: Workload, clock: Clock, method: str, /, **arguments: Any) -> np.ndarray:
    """Fit an interpreter, and score all queries with it: ``[Q, N]``."""
    with clock.stage("fit"):
        interpreter = InfluenceInterpreter.by_name(method)(
            workload.model,
            TensorDataset(*workload.train),
            objective=OBJECTIVES[workload.task],
            **arguments,
        )
        interpreter.fit()
    with clock.stage("score"):
        return interpreter.scores(TensorDataset(*workload.test))


def kronecker(workload: Workload, clock: Clock, method: str, **arguments: Any) -> np.ndarray:
    """Score with K-FAC or EK-FAC of the linear layers and convolutions."""
    covered = set(workload.kronecker_parameters)
    others = [name for name, _ in workload.model.named_parameters() if name not in covered]
    return scores(
        workload,
        clock,
        method,
        damping=workload.damping,
        params_to_freeze=[f"^{re.escape(name)}$" for name in others],
        **(
            {"memory_limit": MEMORY_LIMITS[workload.name]} if workload.name in MEMORY_LIMITS else {}
        ),
        **arguments,
    )


def dense(workload: Workload, clock: Clock, method: str, **arguments: Any) -> np.ndarray:
    """Score with the whole Hessian or Gauss-Newton matrix."""
    return scores(workload, clock, method, damping=workload.damping, **arguments)


def gradient_dot(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with inner products of gradients."""
    return scores(workload, clock, "gradient-dot")


def lissa(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with AllenNLP's recursion."""
    return scores(
        workload,
        clock,
        "simple-influence",
        compatibility="allennlp",
        lissa_batch_size=settings.LISSA_BATCH_SIZE,
        damping=settings.LISSA_DAMPING,
        scale=settings.LISSA_SCALE,
        recursion_depth=settings.LISSA_DEPTH,
        residuals=False,  # which takes a product with all the data, and no other package has it
    )


def conjugate_gradient(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with conjugate gradients on the Gauss-Newton matrix."""
    return scores(
        workload,
        clock,
        "conjugate-gradient",
        damping=workload.damping,
        method="block",
        tolerance=settings.CONJUGATE_GRADIENT_TOLERANCE,
        steps=settings.CONJUGATE_GRADIENT_STEPS,
        curvature_dtype="model",
    )


def arnoldi(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with the Hessian's eigenvalues of largest magnitude, and nothing beyond them."""
    return scores(
        workload,
        clock,
        "arnoldi",
        damping=workload.damping,
        rank=settings.ARNOLDI_RANK,
        curvature="hessian",
        complement="drop",
        curvature_dtype="model",
    )


def nystroem(workload: Workload, clock: Clock) -> np.ndarray:
    """Score with a sketch of the Gauss-Newton matrix; the Hessian, being indefinite, has none."""
    return scores(
        workload,
        clock,
        "nystroem",
        damping=workload.damping,
        rank=settings.NYSTROEM_RANK,
        curvature_dtype="model",
    )


METHODS = {
    "gradient-dot": gradient_dot,
    # One label drawn for each example is what the other packages do.
    "kfac": functools.partial(kronecker, method="kfac", fisher="monte-carlo"),
    "ekfac": functools.partial(kronecker, method="ekfac", fisher="monte-carlo"),
    "kfac-type-2": functools.partial(kronecker, method="kfac", fisher="type-2"),
    "ekfac-type-2": functools.partial(kronecker, method="ekfac", fisher="type-2"),
    "exact": functools.partial(dense, method="exact"),
    "ggn": functools.partial(dense, method="ggn"),
    "ggn-float64": functools.partial(dense, method="ggn", dtype="float64"),
    "lissa": lissa,
    "conjugate-gradient": conjugate_gradient,
    "arnoldi": arnoldi,
    "nystroem": nystroem,
}
